package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxRollback bounds the target files that a rollback brings along, in bytes, together.
const maxRollback = 256 << 20

// RollbackOptions steer Workspace.Rollback.
type RollbackOptions struct {
	// Keep says which targets stay as they are now, whatever the old state says; nil: none.
	Keep func(path string) bool
	// Read returns a target file of the old state: its title, hex sha256 and length.
	Read func(title, sha256 string, length int64) ([]byte, error)
	// DryRun stages nothing.
	DryRun bool
}

// Rollback is what a rollback staged, or with DryRun would stage.
type Rollback struct {
	// Roles are those that change, against the base; none: all is as it was.
	Roles []RoleDiff
	// Notes say what was otherwise then and stays as it is now.
	Notes []string
	// Status of the workspace afterwards.
	Status *Status
}

// StagedError says which roles are to be replaced and have staged changes. It Is ErrStaged.
type StagedError struct {
	Roles []string
}

func (e *StagedError) Error() string {
	return fmt.Sprintf("%s: %v", strings.Join(e.Roles, ", "), ErrStaged)
}

// Is reports that the error is an ErrStaged.
func (e *StagedError) Is(target error) bool { return target == ErrStaged }

// Rollback stages the content of an old state of this repository as the next versions of targets and of the roles that
// it delegates to: their entries, and of their delegations paths, order and whether they terminate. Roles that say the
// same as now are not staged.
//
// What could weaken the present stays as it is, and is in the notes: root; the keys and thresholds of delegations, since
// an old key may be one that was stolen; roles that are new since, or gone; hash bins that were others; what Keep names.
//
// The caller has verified the old state as a client. A rollback that was killed can be repeated. ErrStaged,
// ErrForeignHead, ErrInvalid, ErrHead.
func (w *Workspace) Rollback(old *Head, o RollbackOptions) (*Rollback, error) {
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	was, err := w.oldState(old)
	if err != nil {
		return nil, err
	}
	r := &rollback{e: e, o: o, was: was, now: w.baseView(), then: newParsedFiles().viewOf(was.role)}
	if err := r.run(); err != nil {
		return nil, err
	}
	// The workspace as it is afterwards.
	after := *w
	after.staged = maps.Clone(w.staged)
	for _, f := range e.files {
		after.staged[f.role] = f
	}
	result := &Rollback{Roles: []RoleDiff{}, Notes: r.notes}
	if len(r.changed) > 0 {
		if result.Roles, err = after.Diff(r.changed...); err != nil {
			return nil, err
		}
	}
	if result.Status, err = after.Status(); err != nil || o.DryRun {
		return result, err
	}
	return result, e.commit()
}

// oldState holds an old state to the roots of this repository.
func (w *Workspace) oldState(old *Head) (*headState, error) {
	if w.base == nil || w.base.adopt {
		return nil, fmt.Errorf("%w: nothing was published from this workspace yet", ErrInvalid)
	}
	h, err := newHeadState(old, nil)
	if err != nil {
		return nil, err
	}
	for i, root := range h.roots {
		if i >= len(w.base.roots) || w.base.roots[i].sum != root.sum {
			return nil, fmt.Errorf("%w: root v%d is not that of this workspace", ErrForeignHead, i+1)
		}
	}
	return h, nil
}

// rollback is one run of Workspace.Rollback.
type rollback struct {
	e         *edit
	o         RollbackOptions
	was       *headState
	now, then *view // of what is published, and of the old state
	changed   []string
	notes     []string
	bytes     int64
}

func (r *rollback) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *rollback) run() error {
	now, err := r.now.targetRoles()
	if err != nil {
		return err
	}
	then, err := r.then.targetRoles()
	if err != nil {
		return err
	}
	var staged []string
	for _, role := range slices.Backward(now) { // what is delegated to comes before who delegates
		if !slices.Contains(then, role) || r.was.role(role) == nil || r.e.w.base.role(role) == nil {
			continue
		}
		ok, err := r.role(role)
		if err != nil {
			return fmt.Errorf("role %q: %w", role, err)
		}
		if !ok {
			staged = append(staged, role)
		}
	}
	if len(staged) > 0 {
		slices.Reverse(staged)
		return &StagedError{Roles: staged}
	}
	return nil
}

// role stages one role as it was, unless it is so already. It is false if other changes of it are staged.
func (r *rollback) role(role string) (ok bool, err error) {
	current := r.e.w.base.role(role)
	md, err := parseFile[tuf.TargetsType](current)
	if err != nil {
		return false, err
	}
	was, err := parseFile[tuf.TargetsType](r.was.role(role))
	if err != nil {
		return false, err
	}
	now := md.Signed.Targets
	md.Signed.Targets = r.targets(role, now, was.Signed.Targets)
	r.delegations(role, md, was)
	if err := stage(r.e, role, md); err != nil {
		return false, err
	}
	last := len(r.e.files) - 1
	next := r.e.files[last]
	if same, err := sameContent(next, current); err != nil || same {
		r.e.files = r.e.files[:last]
		return true, err
	}
	if there := r.e.w.staged[role]; there != nil {
		r.e.files = r.e.files[:last]
		same, err := sameContent(next, there)
		if same {
			r.changed = append(r.changed, role) // by a rollback that was killed
		}
		return same, err
	}
	r.changed = append(r.changed, role)
	return true, r.bring(now, md.Signed.Targets)
}

// targets are the entries of then, but for those that stay as they are now.
func (r *rollback) targets(role string, now, then map[string]*tuf.TargetFiles) map[string]*tuf.TargetFiles {
	keep := func(path string) bool { return r.o.Keep != nil && r.o.Keep(path) }
	out := map[string]*tuf.TargetFiles{}
	stays := map[string]bool{}
	for path, t := range then {
		if !keep(path) {
			out[path] = t
		} else if !sameTarget(t, now[path]) {
			stays[path] = true
		}
	}
	for path, t := range now {
		if !keep(path) {
			continue
		}
		out[path] = t
		if !sameTarget(t, then[path]) {
			stays[path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(stays)) {
		r.note("%q of role %q was otherwise then, and stays as it is now", path, role)
	}
	return out
}

func sameTarget(a, b *tuf.TargetFiles) bool {
	return a != nil && b != nil && a.Length == b.Length && a.Hashes.Equal(b.Hashes)
}

// bring brings the bytes of entries along that are not published now.
func (r *rollback) bring(now, next map[string]*tuf.TargetFiles) error {
	if r.o.DryRun {
		return nil
	}
	for _, path := range slices.Sorted(maps.Keys(next)) {
		t := next[path]
		if strings.HasPrefix(path, imagesPrefix) || sameTarget(t, now[path]) {
			continue
		}
		sum := newTarget("", path, t).SHA256
		here, err := r.e.w.blob(entry{Path: path, Length: t.Length, Hashes: map[string]string{"sha256": sum}})
		if err != nil {
			return err
		}
		if here != nil {
			continue
		}
		if r.bytes += t.Length; t.Length > MaxTargetFile || r.bytes > maxRollback {
			return fmt.Errorf("%w: target %q: the files of the old state have more than %d bytes", ErrInvalid, path, maxRollback)
		}
		data, err := r.o.Read(TargetTitle(path, sum), sum, t.Length)
		if err != nil {
			return fmt.Errorf("target %q: %w", path, err)
		}
		if int64(len(data)) != t.Length || checksum(data) != sum {
			return fmt.Errorf("%w: target %q: the bytes are not those that were signed", ErrInvalid, path)
		}
		r.e.blobs = append(r.e.blobs, fileChange{path: r.e.w.path(blobsDir, sum), data: data})
	}
	return nil
}

// delegations gives the delegations of a role that there are now and were then the paths and the order of then.
func (r *rollback) delegations(role string, md, was *tuf.Metadata[tuf.TargetsType]) {
	now, then := md.Signed.Delegations, was.Signed.Delegations
	if now == nil {
		now = &tuf.Delegations{}
	}
	if then == nil {
		then = &tuf.Delegations{}
	}
	if now.SuccinctRoles != nil || then.SuccinctRoles != nil {
		r.bins(role, md, was)
		return
	}
	find := func(in []tuf.DelegatedRole, name string) int {
		return slices.IndexFunc(in, func(d tuf.DelegatedRole) bool { return d.Name == name })
	}
	var places []int
	for i := range now.Roles {
		d := &now.Roles[i]
		k := find(then.Roles, d.Name)
		if k < 0 {
			r.note("role %q is new since, and stays", d.Name)
			continue
		}
		old := then.Roles[k]
		places = append(places, i)
		d.Paths, d.PathHashPrefixes, d.Terminating = old.Paths, old.PathHashPrefixes, old.Terminating
		a, b := newRule("", now.Keys, d.KeyIDs, d.Threshold), newRule("", then.Keys, old.KeyIDs, old.Threshold)
		if !a.equal(b) {
			r.note("role %q stays under its keys of now, %s; then it was %s", d.Name, r.e.w.keysText(a), r.e.w.keysText(b))
		}
	}
	var common []tuf.DelegatedRole
	for _, d := range then.Roles {
		if i := find(now.Roles, d.Name); i >= 0 {
			common = append(common, now.Roles[i])
		} else {
			r.note("role %q is gone since: neither it nor what it listed comes back", d.Name)
		}
	}
	for i := range min(len(places), len(common)) {
		now.Roles[places[i]] = common[i]
	}
}

// bins stay as they are now.
func (r *rollback) bins(role string, md, was *tuf.Metadata[tuf.TargetsType]) {
	text := func(m *tuf.Metadata[tuf.TargetsType]) string {
		if m.Signed.Delegations == nil || m.Signed.Delegations.SuccinctRoles == nil {
			return "none"
		}
		s := m.Signed.Delegations.SuccinctRoles
		_, n := s.GetSuffixLen()
		return fmt.Sprintf("%d named %s-…, %s", n, s.NamePrefix, r.e.w.keysText(newRule("", m.Signed.Delegations.Keys, s.KeyIDs, s.Threshold)))
	}
	if now, then := text(md), text(was); now != then {
		r.note("the hash bins of %q stay as they are now, %s; then they were %s", role, now, then)
	}
}

// keysText names the keys of a rule, "1 of rel, 3f1c77ab".
func (w *Workspace) keysText(r rule) string {
	names := make([]string, len(r.ids))
	for i, id := range r.ids {
		if names[i] = w.keyName(r.keys[id]); names[i] == "" {
			names[i] = short(id)
		}
	}
	return fmt.Sprintf("%d of %s", r.threshold, strings.Join(names, ", "))
}
