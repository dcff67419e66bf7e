package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// maxCompared is how many role files are read to tell changes that were lost from roles
// that were only signed twice.
const maxCompared = 32

// maxComparedFile bounds one of them, in bytes: more than any client loads.
const maxComparedFile = 16 << 20

// chain follows what each bundle says that it was built on, from the head to the oldest
// that was read. Bundles on the way that no tag names any more are read by their
// digests. Versions fall along it, so it ends.
func (r *historian) chain(ctx context.Context) error {
	byDigest, oldest := index(r.entries), r.head.version
	for _, e := range r.entries {
		oldest = min(oldest, e.version)
	}
	untagged := 0
	for at := r.head; at.version > oldest || at.Previous == ""; {
		if at.Previous == "" {
			r.complete = true
			return nil
		}
		e := byDigest[at.Previous]
		if e == nil && untagged < maxAncestors && at.Previous.Validate() == nil {
			untagged++
			var err error
			if e, err = r.readUntagged(ctx, at.Previous); err != nil {
				return err
			}
			if e != nil {
				r.entries = append(r.entries, e)
			}
		}
		if why := at.cannotFollow(e); why != "" {
			r.notes = append(r.notes, fmt.Sprintf("what timestamp v%d was built on, %s, %s: what is older cannot be told apart", at.version, at.Previous, why))
			return nil
		}
		e.State = StateAncestor
		r.ancestors = append(r.ancestors, e)
		at = e
	}
	return nil
}

// index finds bundles by their digests, rather under their own tags than under others.
func index(all []*past) map[digest.Digest]*past {
	byDigest := map[digest.Digest]*past{}
	for _, e := range all {
		if there := byDigest[e.Digest]; there == nil || !there.Verified {
			byDigest[e.Digest] = e
		}
	}
	return byDigest
}

// readUntagged reads a bundle by its digest; nil if it is gone, or no bundle.
func (r *historian) readUntagged(ctx context.Context, d digest.Digest) (*past, error) {
	b, err := ociremote.FetchBundle(ctx, r.p.dst.repo, d.String(), ociremote.Known{})
	switch {
	case isNotFound(err), unreadable(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return r.describe(ctx, b, versionOf(b))
}

// cannotFollow says why a bundle cannot be the one that this was built on, "" if it can.
// No annotation makes an ancestor of what contradicts the signed versions.
func (e *past) cannotFollow(older *past) string {
	switch {
	case older == nil:
		return "is gone"
	case !older.Verified && !older.before:
		return "does not verify"
	case older.version >= e.version:
		return "is not older"
	}
	for title, f := range older.files {
		if ours, ok := e.files[title]; ok && ours.Digest != f.Digest {
			return "has another file under the name " + title
		}
	}
	for role, version := range older.roles {
		if ours, ok := e.roles[role]; ok && ours < version {
			return fmt.Sprintf("has a newer %s", role)
		}
	}
	return ""
}

// judge says what the bundles are that are no ancestors.
func (r *historian) judge(ctx context.Context) error {
	reach := r.head.version // below it, ancestors are not known
	line := map[digest.Digest]*past{r.head.Digest: r.head}
	for _, e := range r.ancestors {
		reach, line[e.Digest] = e.version, e
	}
	if r.complete {
		reach = 0
	}
	built := map[digest.Digest]bool{} // something was built on it
	for _, e := range r.entries {
		if e.Verified {
			built[e.Previous] = true
		}
	}
	slices.SortStableFunc(r.entries, func(a, b *past) int { return cmp.Compare(a.version, b.version) })
	finishable := false // the first in order is finished, and no other
	for _, e := range r.entries {
		if e.State != "" {
			continue
		}
		above := e.version > r.head.version
		parent := line[e.Previous]
		switch {
		case above && (built[e.Digest] || parent == nil && r.isFork(e.Previous)):
			// The head was put back: something was built on this, and nothing
			// is built on what was never the head.
			e.State, e.Lost = StateFork, r.newRoles(e)
		case above && parent == r.head:
			if err := r.claim(ctx, e, finishable); err != nil {
				return err
			}
			finishable = finishable || e.Finishable
		case r.twin(e):
			e.State = StateFork
			lost, err := r.lost(ctx, e)
			if err != nil {
				return err
			}
			e.Lost = lost
		case parent == nil || e.version < reach:
			e.State = StateUnknown
		default:
			lost, err := r.lost(ctx, e)
			if err != nil {
				return err
			}
			e.State, e.Lost = StateOvertaken, lost
			if len(lost) > 0 {
				e.State = StateFork
			}
		}
	}
	return ctx.Err()
}

// isFork reports whether a bundle was found to be a fork.
func (r *historian) isFork(d digest.Digest) bool {
	return slices.ContainsFunc(r.entries, func(e *past) bool { return e.Digest == d && e.State == StateFork })
}

// twin reports whether the head or an ancestor is of the same timestamp version, with
// other bytes.
func (r *historian) twin(e *past) bool {
	return slices.ContainsFunc(r.line(), func(l *past) bool {
		return l.version == e.version && l.timestamp != e.timestamp
	})
}

// line are the head and its ancestors, newest first.
func (r *historian) line() []*past { return append([]*past{r.head}, r.ancestors...) }

// claim judges a claim on the head, as the next publisher does. An error is one of the
// way to it.
func (r *historian) claim(ctx context.Context, e *past, another bool) error {
	e.State = StateDead
	if !e.Made.IsZero() && r.o.Now().Sub(e.Made) < deadAfter {
		e.State = StateClaim
		return nil
	}
	if another {
		e.Err = errors.New("an older claim is finished first")
		return nil
	}
	b, err := ociremote.FetchBundle(ctx, r.p.dst.repo, e.Digest.String(), ociremote.Known{})
	if err != nil && (unreachable(err) || ctx.Err() != nil) {
		return fmt.Errorf("reading claim %s: %w", e.Tag, err)
	}
	if e.Err = err; err == nil {
		e.Err = r.p.finishable(ctx, b, e.version, r.h, nil)
	}
	e.Finishable = e.Err == nil
	return nil
}

// newRoles are the roles of a bundle that the head does not have, snapshot and timestamp
// aside.
func (r *historian) newRoles(e *past) []string {
	var roles []string
	for _, title := range slices.Sorted(maps.Keys(e.files)) {
		if ours, ok := r.head.files[title]; !ok || ours.Digest != e.files[title].Digest {
			roles = append(roles, roleOfTitle(title))
		}
	}
	return roles
}

// lost are the roles of a bundle, snapshot and timestamp aside, whose content neither the
// head nor an ancestor has.
func (r *historian) lost(ctx context.Context, e *past) ([]string, error) {
	var roles []string
	for _, title := range slices.Sorted(maps.Keys(e.files)) {
		kept, err := r.kept(ctx, e, title)
		if err != nil {
			return nil, err
		}
		if !kept {
			roles = append(roles, roleOfTitle(title))
		}
	}
	return roles, nil
}

// kept reports whether the head or an ancestor has the content of a file. A role that two
// publishers renewed has other bytes and the same content.
func (r *historian) kept(ctx context.Context, e *past, title string) (bool, error) {
	f := e.files[title]
	var others []digest.Digest
	for _, l := range r.line() {
		ours, ok := l.files[title]
		switch {
		case !ok || slices.Contains(others, ours.Digest):
		case ours.Digest == f.Digest:
			return true, nil
		default:
			others = append(others, ours.Digest)
			if same, err := r.sameRole(ctx, f, ours); err != nil || same {
				return same, err
			}
		}
	}
	return false, nil
}

// sameRole reads two files of a role and compares what they say. What cannot be read is
// not the same.
func (r *historian) sameRole(ctx context.Context, a, b ocispec.Descriptor) (bool, error) {
	if r.compared++; r.compared > maxCompared {
		return false, nil
	}
	var files [2][]byte
	for i, desc := range []ocispec.Descriptor{a, b} {
		files[i] = r.held[desc.Digest]
		if files[i] != nil {
			continue
		}
		var err error
		files[i], err = ociremote.FetchBlob(ctx, r.p.dst.repo, desc, maxComparedFile)
		if err != nil && (unreachable(err) || ctx.Err() != nil) {
			return false, err
		}
	}
	same, err := metadata.SameContent(files[0], files[1])
	return err == nil && same, nil
}

func roleOfTitle(title string) string {
	role, version, _ := metadata.ParseTitle(title)
	return fmt.Sprintf("%s v%d", role, version)
}

// timeline is what was found, newest first.
func (r *historian) timeline() *Timeline {
	all := append([]*past{r.head}, r.entries...)
	slices.SortStableFunc(all, func(a, b *past) int { return cmp.Compare(b.version, a.version) })
	byDigest := index(all)
	t := &Timeline{Head: r.head.Digest, View: r.h.view, Truncated: r.truncated, Notes: r.notes}
	for _, e := range all {
		e.change(byDigest[e.Previous])
		t.Entries = append(t.Entries, e.HistoryEntry)
	}
	return t
}

// change compares the roles with those of the bundle that this was built on.
func (e *past) change(previous *past) {
	if !e.Verified || e.Previous != "" && (previous == nil || !previous.Verified) {
		return
	}
	before := map[string]int64{}
	if previous != nil {
		before = previous.roles
	}
	e.Changed = []RoleChange{}
	for _, role := range slices.SortedFunc(maps.Keys(e.roles), compareRoles) {
		if from := before[role]; from != e.roles[role] {
			e.Changed = append(e.Changed, RoleChange{Role: role, From: from, To: e.roles[role]})
		}
	}
	for _, role := range slices.SortedFunc(maps.Keys(before), compareRoles) {
		if _, ok := e.roles[role]; !ok {
			e.Changed = append(e.Changed, RoleChange{Role: role, From: before[role]})
		}
	}
}

// compareRoles puts root and targets first, snapshot and timestamp last.
func compareRoles(a, b string) int {
	place := map[string]int{"root": -2, "targets": -1, "snapshot": 1, "timestamp": 2}
	if c := cmp.Compare(place[a], place[b]); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
