package trust

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// File is one file of a repository as it is copied, bytes as received.
type File struct {
	Title  string // "metadata/2.root.json", "targets/dir/<sha256>.name"
	Digest digest.Digest
	Data   []byte
	// Role, Version and Expires are of a metadata file; a target file has none of
	// them, and a root below the pin no Expires.
	Role    string
	Version int64
	Expires time.Time
	// Unverified: a root below the pin, carried and not believed.
	Unverified bool
}

// FileSet is a whole repository, in the order in which it can be written so that
// no file names one that is not there yet: target files, delegated roles, targets,
// snapshot, roots, timestamp.
type FileSet struct {
	Files []File
	// Carried are the versions of the roots below the pin, which are not
	// verified.
	Carried []int64
	// Unreached are roles that the snapshot lists and no delegation reaches;
	// they are not copied.
	Unreached []string
}

// Files returns every file of the verified repository, byte for byte, to copy it.
// It fails if a role or target file cannot be read or verified. The target files
// are those that any TUF client can ask for: the rules for reserved names do not
// thin out a copy.
func (v *View) Files(ctx context.Context) (*FileSet, error) {
	defer v.flush(ctx)
	all, err := v.reach(ctx)
	if err != nil {
		return nil, err
	}
	if err := failures(all); err != nil {
		return nil, err
	}
	fs := &FileSet{Unreached: v.unreached(all)}
	targets, err := v.targetFiles(ctx, all)
	if err != nil {
		return nil, err
	}
	roles := make([]*roleFile, len(all))
	for i, r := range all {
		roles[i] = r.file
	}
	if err := v.addTargets(ctx, fs, targets); err != nil {
		return nil, err
	}
	if err := v.addMetadata(ctx, fs, roles); err != nil {
		return nil, err
	}
	return fs, nil
}

// addMetadata adds roles, which come in the order in which they were reached, and the
// top-level roles above them.
func (v *View) addMetadata(ctx context.Context, fs *FileSet, roles []*roleFile) error {
	v.addRoles(fs, roles)
	if err := v.addCarried(ctx, fs); err != nil {
		return err
	}
	v.addRoots(fs)
	v.addTimestamp(fs)
	return nil
}

// addRoles adds roles, each before those that name it, and the snapshot.
func (v *View) addRoles(fs *FileSet, roles []*roleFile) {
	for _, file := range slices.Backward(roles) {
		fs.add(File{
			Title: v.roleTitle(file.name, file.version()), Data: file.data,
			Role: file.name, Version: file.version(), Expires: file.meta.Signed.Expires,
		})
	}
	snapshot := v.set.snapshot.Signed
	fs.add(File{
		Title: v.roleTitle(tuf.SNAPSHOT, snapshot.Version), Data: v.set.snapshotData,
		Role: tuf.SNAPSHOT, Version: snapshot.Version, Expires: snapshot.Expires,
	})
}

func (v *View) addRoots(fs *FileSet) {
	for _, root := range v.set.roots {
		fs.add(File{
			Title: metadataDir + rootFileName(root.version), Data: root.data,
			Role: tuf.ROOT, Version: root.version, Expires: root.meta.Signed.Expires,
		})
	}
}

func (v *View) addTimestamp(fs *FileSet) {
	timestamp := v.set.timestamp.Signed
	fs.add(File{
		Title: metadataDir + "timestamp.json", Data: v.set.timestampData,
		Role: tuf.TIMESTAMP, Version: timestamp.Version, Expires: timestamp.Expires,
	})
}

func (fs *FileSet) add(f File) {
	f.Digest = digest.NewDigestFromEncoded(digest.SHA256, hexSum(f.Data))
	fs.Files = append(fs.Files, f)
}

func (v *View) unreached(all []*reached) []string {
	known := map[string]bool{}
	for _, r := range all {
		known[r.name] = true
	}
	var names []string
	for _, file := range sortedKeys(v.set.snapshot.Signed.Meta) {
		if role := strings.TrimSuffix(file, ".json"); !known[role] {
			names = append(names, role)
		}
	}
	return names
}

// targetFiles lists the targets that have a file, as the plain rules of TUF answer
// for them.
func (v *View) targetFiles(ctx context.Context, all []*reached) ([]listed, error) {
	var files []listed
	err := v.effective(ctx, all, v.findFile, func(role *roleFile, name string) error {
		files = append(files, listed{role, name})
		return nil
	})
	return files, err
}

// findFile is find for names that have a file; those of images are not looked for.
func (v *View) findFile(ctx context.Context, name string, read roleReader) (*roleFile, error) {
	if isImage(name) {
		return nil, errNotFound
	}
	return v.find(ctx, name, read)
}

// addTargets reads and verifies the files of targets.
func (v *View) addTargets(ctx context.Context, fs *FileSet, targets []listed) error {
	v.prefetchListed(ctx, targets)
	done := map[string]bool{}
	for _, t := range targets {
		data, title, err := v.content(ctx, t.role, t.name)
		if err != nil {
			return err
		}
		if !done[title] {
			done[title] = true
			fs.add(File{Title: title, Data: data})
		}
	}
	return nil
}

// addCarried adds the roots below the pin, where other clients may start.
func (v *View) addCarried(ctx context.Context, fs *FileSet) error {
	carried, err := v.CarriedRoots(ctx)
	if err != nil {
		return err
	}
	for _, f := range carried {
		fs.Carried = append(fs.Carried, f.Version)
		fs.Files = append(fs.Files, f)
	}
	if n := len(carried); n > 0 {
		v.warnings.add(fmt.Sprintf("%d roots below the pinned v%d are carried and not verified", n, v.set.roots.pin().version))
	}
	return nil
}
