package trust

import (
	"context"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// Inventory is what a verified repository holds, for those who pass it on without
// having all of it in memory.
type Inventory struct {
	// Metadata is every verified metadata file, as in [FileSet] but without the
	// roots below the pin.
	Metadata []File
	// Consistent: file names hold versions and hashes, so that none is written twice.
	Consistent bool
	// Targets are the target files that any TUF client can ask for.
	Targets []TargetFile
	// Missing are roles that a delegation reaches and that cannot be read or
	// verified. Targets that a lookup finds only through them are not listed.
	Missing []MissingRole
}

// TargetFile is a target file that a verified role lists.
type TargetFile struct {
	Path   string            // of the target
	Hashes map[string]string // by algorithm, in hex
	// Titles are the names under which clients ask for it: one for each of its
	// hashes with consistent snapshots, "targets/dir/<hash>.name".
	Titles []string
	Length int64         // bytes
	Digest digest.Digest // "" if the role does not state the sha256

	listed listed
}

// MissingRole is a role that was not verified, with the reason.
type MissingRole struct {
	Title string
	Err   error
}

// Inventory reads and verifies every role that a delegation reaches, and none of the
// target files. A role that fails does not keep the others from being returned.
func (v *View) Inventory(ctx context.Context) (*Inventory, error) {
	defer v.flush(ctx)
	all, err := v.reach(ctx)
	if err != nil {
		return nil, err
	}
	inv := &Inventory{Consistent: v.consistent()}
	var roles []*roleFile
	for _, r := range all {
		if r.file != nil {
			roles = append(roles, r.file)
			continue
		}
		if info := metaOf(v.set.snapshot, r.name); info != nil {
			inv.Missing = append(inv.Missing, MissingRole{v.roleTitle(r.name, info.Version), r.err})
		}
	}
	targets, err := v.targetFiles(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if f, ok := v.targetFile(t); ok {
			inv.Targets = append(inv.Targets, f)
		}
	}
	var fs FileSet
	v.addRoles(&fs, roles)
	v.addRoots(&fs)
	v.addTimestamp(&fs)
	inv.Metadata = fs.Files
	return inv, nil
}

// targetFile describes the file of an entry, false if no file can have its name or
// length.
func (v *View) targetFile(t listed) (TargetFile, bool) {
	entry := t.role.meta.Signed.Targets[t.name]
	titles, err := v.targetTitles(t.name, entry)
	if err != nil || len(titles) == 0 || entry.Length < 0 || entry.Length > v.limits.TargetFile {
		return TargetFile{}, false
	}
	f := TargetFile{Path: t.name, Hashes: newTarget(t.role, t.name).Hashes, Titles: titles, Length: entry.Length, listed: t}
	if sum := entry.Hashes["sha256"]; len(sum) == digest.SHA256.Size() {
		f.Digest = digest.NewDigestFromEncoded(digest.SHA256, sum.String())
	}
	return f, true
}

// ReadTarget returns the verified bytes of a target file of this view's inventory,
// which are not to be changed. The view does not keep them.
func (v *View) ReadTarget(ctx context.Context, f TargetFile) ([]byte, error) {
	data, _, err := v.content(ctx, f.listed.role, f.listed.name)
	for _, title := range f.Titles {
		v.origin.release(title)
	}
	return data, err
}

// CarriedRoots returns the roots below the pin that the source has, oldest first.
// They are not verified: nothing here can say whether they are genuine.
func (v *View) CarriedRoots(ctx context.Context) ([]File, error) {
	if v.origin == nil {
		return nil, nil
	}
	var fs FileSet
	for version := v.set.roots.pin().version - 1; version > 0; version-- {
		title := metadataDir + rootFileName(version)
		data, err := v.origin.file(ctx, title, v.limits.Root)
		if errors.Is(err, fetcher.ErrFileNotFound) || errors.Is(err, fetcher.ErrRootGap) {
			break
		}
		if err != nil {
			return nil, err
		}
		fs.add(File{Title: title, Data: data, Role: tuf.ROOT, Version: version, Unverified: true})
	}
	slices.Reverse(fs.Files)
	return fs.Files, nil
}

// Usable judges root, timestamp, snapshot and targets by the clock of the refresher
// that made the view, or else by the time of its refresh: ErrExpired if one of them
// has expired, timestamp and snapshot beyond MaxStale.
func (v *View) Usable() error {
	_, err := v.usable(v.judgeNow())
	return err
}

// usable reports also whether timestamp or snapshot is past its expiry.
func (v *View) usable(j judge) (stale bool, err error) {
	if err := v.set.fresh(j); err != nil {
		return false, err
	}
	return v.set.usable(j)
}
