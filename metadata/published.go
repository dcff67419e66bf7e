package metadata

import (
	"fmt"
	"path"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Root1 is the root that consumers pin: the first one, of the base, or the staged one before the first publish. In a
// repository that was adopted from a later root it is that one: nothing vouches for those before it. Publishing verifies
// the head of the channel from it.
func (w *Workspace) Root1() ([]byte, error) {
	if w.base != nil {
		return bytesOf(w.base.roots[w.base.pinned()-1])
	}
	return bytesOf(w.staged[tuf.ROOT])
}

// Root1File is the path of the file that has Root1 after a publish.
func (w *Workspace) Root1File() string {
	pin := int64(1)
	if w.base != nil {
		pin = w.base.pinned()
	}
	return w.path(baseDir, fileName(tuf.ROOT, pin))
}

// Base is what this workspace published or took over last: every metadata file with its bytes, no target files, and the
// digest of the bundle. It is nil before the first publish, and after ResetAll has given the base up for the next head.
func (w *Workspace) Base() (*Head, error) {
	if w.base == nil || w.base.adopt {
		return nil, nil
	}
	head := &Head{Digest: w.base.info.Digest}
	for _, f := range w.base.all() {
		data, err := bytesOf(f)
		if err != nil {
			return nil, err
		}
		head.Files = append(head.Files, File{Name: Title(f.role, f.version), Data: data, SHA256: f.sum, Length: f.length})
	}
	return head, nil
}

// Published records that the release is the head now: its metadata becomes the base, what was staged for it goes, and of
// the target files only small ones stay. Killed on the way, it leaves what the next command understands: the old base
// with everything staged, or the new base with leftovers that are removed when the workspace is opened.
func (w *Workspace) Published(r *Release, digest, tag string, at time.Time) error {
	if err := w.writable(); err != nil {
		return err
	}
	next, err := w.nextBase(r)
	if err != nil {
		return err
	}
	next.info = BaseInfo{Digest: digest, Tag: tag, FetchedAt: at}
	next.earlier = w.base.before(r.onto, digest)
	next.least = w.base.leastAfter(next)
	if err := saveBase(w.disk, w.path(baseDir), next); err != nil {
		return fmt.Errorf("recording what was published: %w", err)
	}
	w.base = next
	if err := w.dropPublished(); err != nil {
		return err
	}
	for role, f := range w.staged {
		if f.version <= next.version(role) {
			if err := w.unstage(role); err != nil {
				return err
			}
		}
	}
	return w.pruneTargets(r)
}

// nextBase is the base that a release makes.
func (w *Workspace) nextBase(r *Release) (*base, error) {
	next := &base{roles: map[string]*roleFile{}}
	if w.base != nil {
		next.pin = w.base.pin
	}
	for _, f := range r.Files {
		role, version, ok := ParseTitle(f.Name)
		if !ok {
			continue
		}
		file, err := w.base.headFile(role, version, f)
		if err != nil {
			return nil, err
		}
		if role == tuf.ROOT {
			next.roots = append(next.roots, file)
		} else {
			next.roles[role] = file
		}
	}
	h := headState{roots: next.roots, roles: next.roles}
	return next, h.check()
}

// pruneTargets removes the bytes of target files that no release needs from here: those of files that are gone, and
// those of published files that are too large for the inline layer.
func (w *Workspace) pruneTargets(r *Release) error {
	keep := map[string]bool{}
	for _, f := range r.Files {
		if _, _, isMetadata := ParseTitle(f.Name); !isMetadata && f.Length <= MaxKeptTarget {
			sum, _, _ := strings.Cut(path.Base(f.Name), ".")
			keep[sum] = true
		}
	}
	for _, f := range w.staged {
		if typeOf(f.role) != tuf.TARGETS {
			continue
		}
		entries, err := fileEntries(f)
		if err != nil {
			return err
		}
		for _, n := range entries {
			keep[FileHash(n.Hashes)] = true
		}
	}
	return removeOthers(w.disk, w.path(blobsDir), keep)
}
