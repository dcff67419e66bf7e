package metadata

import (
	"fmt"
	"maps"
	"slices"
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
// Errors: *RebaseConflictError, *FrozenError for a frozen role that would change, ErrForeignHead, ErrHead, ErrInvalid for
// an ancestor that is not known.
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
	// What others are signing must not become something else under their hands: the ceremony has to end first. What the
	// head has already goes.
	if err := w.thawed(slices.Collect(maps.Values(r.next)), nil); err != nil {
		return nil, err
	}
	return &Rebased{Head: h.digest, Roles: r.roles}, r.commit()
}

// ancestor is the state that the head and what is here both come from; nil for nothing. ErrForeignHead if the roots of
// the head do not continue its roots.
func (w *Workspace) ancestor(h *headState, digest string) (*base, error) {
	from := w.base
	switch {
	case digest == "":
	case w.base == nil:
		return nil, fmt.Errorf("%w: nothing was published from here that could be lost", ErrInvalid)
	case digest == FromNothing:
		from = nil
	default:
		i := slices.IndexFunc(w.base.earlier, func(e *base) bool { return e.info.Digest == digest })
		if i < 0 {
			return nil, fmt.Errorf("%w: bundle %s is not known here", ErrInvalid, digest)
		}
		from = w.newestOf(w.base.earlier[i:], h)
	}
	roots := []*roleFile{w.staged[tuf.ROOT]}
	switch {
	case from != nil:
		roots = from.roots
	case w.base != nil:
		roots = w.base.roots[:1]
	}
	return from, continues(h, roots)
}

// newestOf is the first of some states that the head can have been built on: none of its roles is older, or another file
// of the same version. If it is none of them, it is the first: what the head lacks of that is made again too.
func (w *Workspace) newestOf(states []*base, h *headState) *base {
	for _, s := range states {
		if !slices.ContainsFunc(s.all(), func(f *roleFile) bool {
			theirs := h.role(f.role)
			return typeOf(f.role) == tuf.TARGETS && theirs != nil &&
				(theirs.version < f.version || theirs.version == f.version && theirs.sum != f.sum)
		}) {
			return s
		}
	}
	return states[0]
}

// leastOn is the least version of each role on top of a head: more than what was published from here, and than what the
// snapshot of the head says of roles that it has no more. Roots come one after the other, whatever was lost.
func (w *Workspace) leastOn(h *headState) map[string]int64 {
	least := map[string]int64{}
	raise := func(role string, version int64) {
		if role != tuf.ROOT && version > h.role(role).versionOr0()+1 {
			least[role] = max(least[role], version)
		}
	}
	for name, m := range h.snapshot.Signed.Meta {
		if role, ok := strings.CutSuffix(name, ".json"); ok && m != nil {
			raise(role, m.Version+1)
		}
	}
	if w.base == nil {
		return least
	}
	for role, version := range w.base.least {
		raise(role, version)
	}
	for role, f := range w.base.roles {
		raise(role, f.version+1)
	}
	return least
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

// changedRoles lists the roles that differ here from what both sides started with.
func (r *rebasing) changedRoles() []string {
	all := map[string]bool{tuf.ROOT: true, tuf.TARGETS: true}
	for role := range r.w.staged {
		all[role] = true
	}
	if r.w.base != nil {
		for role := range r.w.base.roles {
			all[role] = typeOf(role) == tuf.TARGETS
		}
	}
	maps.DeleteFunc(all, func(role string, signedByPeople bool) bool {
		ours, before := r.w.current(role), r.before(role)
		return !signedByPeople || ours == nil || before != nil && ours.sum == before.sum
	})
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if isTopLevel(a) != isTopLevel(b) {
			return map[bool]int{true: -1, false: 1}[isTopLevel(a)]
		}
		return strings.Compare(a, b)
	})
}

func (r *rebasing) mergeRoles() error {
	for _, role := range r.changedRoles() {
		var err error
		switch {
		case r.untouched(role):
			err = r.keep(role)
		default:
			err = r.merge(role)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// untouched reports whether the head has the role as it was, or an older version of it.
func (r *rebasing) untouched(role string) bool {
	before, theirs := r.before(role), r.head.role(role)
	if before == nil {
		return theirs == nil
	}
	return theirs != nil && (theirs.sum == before.sum || theirs.version < before.version)
}

// keep stages a role as it is here, with its signatures, if its version fits on the head.
func (r *rebasing) keep(role string) error {
	ours, theirs := r.w.current(role), r.head.role(role)
	lost := r.w.base.role(role) // published from here, and overwritten, unless it is what the head has
	overwritten := lost != nil && (theirs == nil || theirs.sum != lost.sum)
	fits := r.onto.follows(role, ours.version)
	switch {
	case !fits && role == tuf.ROOT:
		r.conflict(RebaseConflict{
			Role: role, Kind: "version", Subject: role, Why: "roots follow one another, and more than one is missing",
			Base: version(r.before(role)), Ours: version(ours), Theirs: version(theirs),
		})
		return nil
	case fits:
		f, err := ours.inMemory()
		if err != nil {
			return err
		}
		r.next[role] = f
	default:
		if err := r.stage(role, ours); err != nil {
			return err
		}
	}
	if !overwritten && fits {
		return nil // it was staged, and still is
	}
	changes, err := keyNames(r.w.keyName).changes(theirs, r.next[role])
	if err != nil {
		return err
	}
	r.add(RebasedRole{Role: role, Changes: withoutExpiry(changes), Kept: fits})
	return nil
}

// merge stages a role of the head with the changes from here.
func (r *rebasing) merge(role string) error {
	before, ours, theirs := r.before(role), r.w.current(role), r.head.role(role)
	mine, err := keyNames(r.w.keyName).changes(before, ours)
	if err != nil {
		return err
	}
	if mine = withoutExpiry(mine); theirs == nil {
		r.gone(role, mine)
		return nil
	}
	merged, err := r.merged(role, before, ours, theirs)
	if err != nil || merged == nil {
		return err
	}
	changes, err := keyNames(r.w.keyName).changes(theirs, merged)
	if err != nil {
		return err
	}
	done := RebasedRole{Role: role, Changes: withoutExpiry(changes)}
	for _, c := range mine {
		if !slices.ContainsFunc(done.Changes, func(o Change) bool { return o.Kind == c.Kind && o.Subject == c.Subject && o.New == c.New }) && c.Kind != "order" {
			done.Done = append(done.Done, c)
		}
	}
	// Clients that saw the version that was overwritten need one that is not below it.
	if len(done.Changes) > 0 || r.w.base.version(role) > theirs.version && role != tuf.ROOT {
		r.next[role] = merged
	}
	r.add(done)
	return nil
}

// gone notes the changes of a role that the head does not have any more.
func (r *rebasing) gone(role string, mine []Change) {
	if len(mine) == 0 {
		return // no more than a renewal
	}
	r.conflict(RebaseConflict{
		Role: role, Kind: "delegation", Subject: role, Why: "nobody delegates to the role any more",
		Base: version(r.before(role)), Ours: fmt.Sprintf("%s with %d changes", version(r.w.current(role)), len(mine)),
	})
}

// stage stages the content of a file as the next version of its role on the head.
func (r *rebasing) stage(role string, content *roleFile) error {
	data, err := bytesOf(content)
	if err != nil {
		return err
	}
	_, isBin, err := r.w.view().binParent(role)
	if err != nil {
		return err
	}
	l, err := statedLife(role, isBin, content)
	if err != nil {
		return err
	}
	f, err := r.nextVersion(role, data, l)
	r.next[role] = f
	return err
}

// nextVersion makes the next version of a role on the head.
func (r *rebasing) nextVersion(role string, data []byte, l life) (*roleFile, error) {
	data, err := nextVersion(data, r.onto.next(role), r.w.now(), l)
	if err != nil {
		return nil, err
	}
	f, err := newRoleFile(role, data)
	if err != nil {
		return nil, err
	}
	return f, checkSize(f)
}

func (r *rebasing) conflict(c RebaseConflict) {
	c.Staged = r.from == r.w.base && r.w.staged[c.Role] != nil
	r.conflicts = append(r.conflicts, c)
}

// add notes what became of a role.
func (r *rebasing) add(role RebasedRole) {
	role.FromVersion, role.ToVersion = r.before(role.Role).versionOr0(), r.head.version(role.Role)
	role.StagedVersion = r.next[role.Role].versionOr0()
	r.roles = append(r.roles, role)
}

// version is the version of a file as text, "" for none.
func version(f *roleFile) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("v%d", f.version)
}

// inMemory is the file with bytes that do not lie in the base, which may lose them.
func (f *roleFile) inMemory() (*roleFile, error) {
	data, err := bytesOf(f)
	if err != nil {
		return nil, err
	}
	return newRoleFile(f.role, data)
}
