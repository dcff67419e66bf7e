package metadata

import (
	"fmt"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// FromNothing as the ancestor of RebaseOptions: the head was built on nothing that was published from here.
const FromNothing = "nothing"

// RebaseOptions steer Rebase.
type RebaseOptions struct {
	// Ancestor is the digest of one of Earlier, or FromNothing: the head was built on that, and has overwritten what was
	// published from here since. Those changes are made again as well. "": the head was built on the base.
	Ancestor string
	// Blob finds the bytes of a target file, by its hex sha256 and length, that neither the workspace nor the head has:
	// large ones are not kept here once they are published. Nil: there are none elsewhere.
	Blob func(sha256 string, length int64) ([]byte, error)
	// DryRun writes nothing. The workspace shows the result until it is closed, and can only be read until then.
	DryRun bool
}

// Rebased says what Rebase did.
type Rebased struct {
	Head  string        // digest of the bundle that is the base now
	Roles []RebasedRole // those with changes that had moved or were overwritten
}

// RebasedRole is one role whose changes were made again.
type RebasedRole struct {
	Role                   string
	FromVersion, ToVersion int64    // on which the changes stood, and on which they stand now: the version of the head
	StagedVersion          int64    // 0: the head has all of them
	Changes                []Change // against the head
	Done                   []Change // that the head has already
	Kept                   bool     // the bytes are those from before, with their signatures
}

// RebaseConflictError lists the changes that contradict what others did. It Is ErrConflict.
type RebaseConflictError struct {
	Head      string // digest of the bundle
	Conflicts []RebaseConflict
}

// RebaseConflict is one change that cannot be made again. Kind and Subject are those of Change; the values are "" where
// there is nothing.
type RebaseConflict struct {
	Role, Kind, Subject string
	Base, Ours, Theirs  string
	Why                 string
	Staged              bool // Ours is staged, so that Reset can drop it; else it was published and overwritten
}

func (c RebaseConflict) String() string {
	shown := func(value string) string {
		if value == "" {
			return "none"
		}
		return value
	}
	return fmt.Sprintf("%s: %s %s: %s: here %s, there %s, before %s",
		c.Role, c.Kind, c.Subject, c.Why, shown(c.Ours), shown(c.Theirs), shown(c.Base))
}

func (e *RebaseConflictError) Error() string {
	parts := make([]string, len(e.Conflicts))
	for i, c := range e.Conflicts {
		parts[i] = c.String()
	}
	return fmt.Sprintf("cannot be made again on %s: %s", e.Head, strings.Join(parts, "; "))
}

// Is reports that the error is an ErrConflict.
func (e *RebaseConflictError) Is(target error) bool { return target == ErrConflict }

// Rebase makes the head the base, and what is staged here again on top of it: each role is merged by meaning, entry by
// entry, delegation by delegation, out of what it was, what it is here and what it is in the head. What the head has
// already is staged no more. A role that changes is signed by nobody afterwards; one that the head has left alone keeps
// its bytes and signatures. Changes that contradict what others did are a *RebaseConflictError, and change nothing.
//
// The head was verified by the caller, as for Assemble. All or nothing, also when killed: one rename commits it.
//
// Errors: *RebaseConflictError; *FrozenError if what people are signing would come out changed; ErrForeignHead, ErrHead,
// ErrInvalid for an ancestor that is not known.
func (w *Workspace) Rebase(head *Head, o RebaseOptions) (*Rebased, error) {
	if err := w.writable(); err != nil {
		return nil, err
	}
	h, err := newHeadState(head, w.base)
	if err != nil {
		return nil, err
	}
	from, err := w.ancestor(h, o.Ancestor)
	if err != nil {
		return nil, err
	}
	r := &rebasing{w: w, o: o, from: from, head: h, onto: h.base(), next: map[string]*roleFile{}}
	r.onto.least = w.leastOn(h)
	if w.base != nil {
		r.onto.pin = w.base.pin
	}
	for _, step := range []func() error{r.mergeRoles, r.checkReached, r.checkPaths, r.resign, r.findBytes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if len(r.conflicts) > 0 {
		return nil, &RebaseConflictError{Head: h.digest, Conflicts: r.conflicts}
	}
	if err := w.thawed(r.changes()); err != nil {
		return nil, err
	}
	return &Rebased{Head: h.digest, Roles: r.roles}, r.commit()
}

// versionOr0 is the version of a file that may not be there.
func (f *roleFile) versionOr0() int64 {
	if f == nil {
		return 0
	}
	return f.version
}

// rebasing is one run of Rebase.
type rebasing struct {
	w    *Workspace
	o    RebaseOptions
	from *base // on which the changes stand; nil: nothing
	head *headState
	onto *base // the head as the next base

	next      map[string]*roleFile // what will be staged
	roles     []RebasedRole
	conflicts []RebaseConflict
	blobs     []fileChange
}

// view is the repository as it will be.
func (r *rebasing) view() *view {
	return r.w.viewOf(func(role string) *roleFile {
		if f := r.next[role]; f != nil {
			return f
		}
		return r.head.role(role)
	})
}

// before is the file that the changes of a role stand on. A root that is staged before the first publish is that of the
// head, so that it changes nothing.
func (r *rebasing) before(role string) *roleFile {
	switch {
	case r.from != nil || role != tuf.ROOT:
		return r.from.role(role)
	case r.w.base != nil:
		return r.w.base.roots[0]
	}
	return r.w.staged[tuf.ROOT]
}
