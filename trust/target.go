package trust

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// Target is one verified target entry.
type Target struct {
	Path        string
	Role        string // the role that answers for it
	RoleVersion int64
	Length      int64             // bytes
	Hashes      map[string]string // algorithm to hex
	Custom      json.RawMessage   // nil if there is none
}

func newTarget(role *roleFile, name string) *Target {
	entry := role.meta.Signed.Targets[name]
	t := &Target{
		Path: name, Role: role.name, RoleVersion: role.version(),
		Length: entry.Length, Hashes: make(map[string]string, len(entry.Hashes)),
	}
	for algorithm, hash := range entry.Hashes {
		t.Hashes[algorithm] = hash.String()
	}
	if entry.Custom != nil {
		t.Custom = slices.Clone(*entry.Custom)
	}
	return t
}

// Lookup returns the entry of one name. Errors: ErrTargetNotFound, which is
// fetcher.ErrLimit too if there were more roles to visit, and whatever keeps a role on the way from being read or verified.
func (v *View) Lookup(ctx context.Context, name string) (*Target, error) {
	defer v.flush(ctx)
	role, err := v.findEffective(ctx, name, v.role)
	if err != nil {
		return nil, v.notFound(name, err)
	}
	return newTarget(role, name), nil
}

// IsUnlisted reports whether a lookup has come to its end and no role that may speak
// for the name lists it. It is false where the limit visits has ended it: nobody knows
// then what the other roles say.
func IsUnlisted(err error) bool {
	return errors.Is(err, ErrTargetNotFound) && !errors.Is(err, fetcher.ErrLimit)
}

func (v *View) notFound(name string, err error) error {
	if !errors.Is(err, errNotFound) {
		return err
	}
	e := &VerificationError{Kind: ErrTargetNotFound, Detail: fmt.Sprintf("%q", name)}
	if err != errNotFound { // a limit has ended the search
		e.Err = err
	}
	return e
}

// Get returns the verified bytes of one target: from the cache, from the inline
// layer, else by one request. ErrImageTarget, together with the entry, for names
// under images/.
func (v *View) Get(ctx context.Context, name string) ([]byte, *Target, error) {
	defer v.flush(ctx)
	role, err := v.findEffective(ctx, name, v.role)
	if err != nil {
		return nil, nil, v.notFound(name, err)
	}
	t := newTarget(role, name)
	if isImage(name) {
		if len(t.Hashes["sha256"]) != 64 {
			return nil, nil, v.mismatch(role, name, ErrMalformed, errors.New("an image needs its sha256"))
		}
		return nil, t, &VerificationError{Kind: ErrImageTarget, Role: t.Role, Version: t.RoleVersion, Detail: fmt.Sprintf("%q", name)}
	}
	data, _, err := v.content(ctx, role, name)
	if err != nil {
		return nil, nil, err
	}
	// The view of the source has the same bytes in memory.
	return slices.Clone(data), t, nil
}

// content reads the file of a target and verifies it (TUF spec 5.7).
func (v *View) content(ctx context.Context, role *roleFile, name string) (data []byte, title string, err error) {
	entry := role.meta.Signed.Targets[name]
	titles, err := v.targetTitles(name, entry)
	if err != nil {
		return nil, "", v.from(v.mismatch(role, name, ErrMalformed, err))
	}
	if entry.Length > v.limits.TargetFile {
		return nil, "", v.from(v.mismatch(role, name, ErrMalformed, &fetcher.LimitError{Title: "its file", Size: entry.Length, Max: v.limits.TargetFile, Limit: "targetFile"}))
	}
	sha256 := entry.Hashes["sha256"].String()
	if data := v.cache.get(sha256, entry.Length); data != nil && checkTarget(entry, data) == nil {
		return data, titles[0], nil
	}
	if data := v.inlined(titles...); data != nil && checkTarget(entry, data) == nil {
		return data, titles[0], nil
	}
	if v.origin == nil {
		e := v.mismatch(role, name, ErrStaleCopy, nil)
		e.Detail += " is not stored, and no source was asked"
		return nil, "", e
	}
	for _, title = range titles {
		if data, err = v.origin.file(ctx, title, entry.Length); !errors.Is(err, fetcher.ErrFileNotFound) {
			break
		}
	}
	if errors.Is(err, fetcher.ErrFileNotFound) {
		e := v.mismatch(role, name, ErrStaleCopy, err)
		e.Detail += " is listed, but the copy at hand does not hold the file"
		return nil, "", v.from(e)
	}
	if err != nil {
		return nil, "", err
	}
	if err := checkTarget(entry, data); err != nil {
		v.origin.release(title)
		return nil, "", v.from(v.mismatch(role, name, ErrMismatch, err))
	}
	if v.cache.put(sha256, data) {
		v.origin.release(title) // or a view that is kept for long would hold all files
	}
	return data, title, nil
}

func (v *View) mismatch(role *roleFile, name string, kind, err error) *VerificationError {
	return &VerificationError{Kind: kind, Role: role.name, Version: role.version(), Detail: fmt.Sprintf("target %q", name), Err: err}
}

func checkTarget(entry *tuf.TargetFiles, data []byte) error {
	return guard("", func() error { return entry.VerifyLengthHashes(data) })
}

// targetTitles returns where the file of a target may be: with consistent
// snapshots under each of its hashes (TUF spec 5.7.3), sha256 first. A path that
// could lead out of targets/ has no file.
func (v *View) targetTitles(name string, entry *tuf.TargetFiles) ([]string, error) {
	if name == "" || path.Clean("/"+name) != "/"+name || strings.ContainsAny(name, "\\\x00") {
		return nil, errors.New("a path that cannot name a file")
	}
	if !v.consistent() {
		return []string{targetsDir + name}, nil
	}
	dir, base := path.Split(name)
	var titles []string
	for _, algorithm := range sortedKeys(entry.Hashes) {
		titles = append(titles, targetsDir+dir+entry.Hashes[algorithm].String()+"."+base)
	}
	if i := slices.Index(sortedKeys(entry.Hashes), "sha256"); i > 0 {
		titles[0], titles[i] = titles[i], titles[0]
	}
	return titles, nil
}

// List returns the effective targets by name: an entry of a role is listed only
// if Lookup of that name returns it. Roles that cannot be read or verified are
// in the error, which does not keep the rest from being returned.
func (v *View) List(ctx context.Context) ([]Target, error) {
	defer v.flush(ctx)
	all, err := v.reach(ctx)
	if err != nil {
		return nil, err
	}
	var targets []Target
	err = v.effective(ctx, all, v.findEffective, func(role *roleFile, name string) error {
		targets = append(targets, *newTarget(role, name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Compare(a.Path, b.Path) })
	return targets, failures(all)
}

// failures joins the errors of the roles that could not be read.
func failures(all []*reached) error {
	var errs []error
	for _, r := range all {
		if r.file == nil {
			errs = append(errs, r.err)
		}
	}
	return errors.Join(errs...)
}

type finder func(ctx context.Context, name string, read roleReader) (*roleFile, error)

// effective gives each every entry that find answers with, role by role. A name
// whose lookup runs into a role that cannot be read has no answer.
func (v *View) effective(ctx context.Context, all []*reached, find finder, each func(role *roleFile, name string) error) error {
	read := v.remembering(all)
	for _, r := range all {
		if r.file == nil {
			continue
		}
		for _, name := range sortedKeys(r.file.meta.Signed.Targets) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if answer, err := find(ctx, name, read); err != nil || answer != r.file {
				continue
			}
			if err := each(r.file, name); err != nil {
				return err
			}
		}
	}
	return nil
}
