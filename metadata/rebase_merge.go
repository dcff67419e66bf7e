package metadata

import (
	"encoding/json"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// merged is a role of the head with what was changed here; nil if that contradicts what others did, which is noted.
// before is nil for a role that both sides have made.
func (r *rebasing) merged(role string, before, ours, theirs *roleFile) (*roleFile, error) {
	conflicts, err := r.contradictions(role, before, ours, theirs)
	if err != nil {
		return nil, err
	}
	var data []byte
	if role == tuf.ROOT {
		data, err = mergeFiles(before, ours, theirs, nil, mergeRoot)
	} else {
		data, err = mergeFiles(before, ours, theirs, newTargets(), func(before, ours, theirs *tuf.TargetsType) {
			theirs.Targets = mergeMaps(before.Targets, ours.Targets, theirs.Targets)
			was := namesOf(theirs.Delegations)
			var ordered bool
			theirs.Delegations, ordered = mergeDelegations(before.Delegations, ours.Delegations, theirs.Delegations)
			theirs.UnrecognizedFields = mergeMaps(before.UnrecognizedFields, ours.UnrecognizedFields, theirs.UnrecognizedFields)
			if !ordered {
				conflicts = append(conflicts, RebaseConflict{
					Role: role, Kind: "order", Subject: role, Why: "both have changed the order of the delegations",
					Base: namesOf(before.Delegations), Ours: namesOf(ours.Delegations), Theirs: was,
				})
			}
		})
	}
	if err != nil {
		return nil, err
	}
	if len(conflicts) > 0 {
		for _, c := range conflicts {
			r.conflict(c)
		}
		return nil, nil
	}
	l, err := r.mergedLife(role, before, ours, theirs)
	if err != nil {
		return nil, err
	}
	return r.nextVersion(role, data, l)
}

// mergeFiles parses three versions of a role and writes what merge makes of the last. empty stands for no first one.
func mergeFiles[T tuf.Roles](before, ours, theirs *roleFile, empty *tuf.Metadata[T], merge func(before, ours, theirs *T)) ([]byte, error) {
	a := empty
	if before != nil {
		var err error
		if a, err = parseFile[T](before); err != nil {
			return nil, err
		}
	}
	o, err := parseFile[T](ours)
	if err != nil {
		return nil, err
	}
	t, err := parseFile[T](theirs)
	if err != nil {
		return nil, err
	}
	merge(&a.Signed, &o.Signed, &t.Signed)
	return encode(t)
}

// mergedLife is the life of the role: theirs, where it was not changed here.
func (r *rebasing) mergedLife(role string, before, ours, theirs *roleFile) (life, error) {
	_, isBin, err := r.w.view().binParent(role)
	if err != nil {
		return life{}, err
	}
	var lives [3]life
	for i, f := range []*roleFile{before, ours, theirs} {
		if f == nil {
			continue
		}
		if lives[i], err = statedLife(role, isBin, f); err != nil {
			return life{}, err
		}
	}
	return life{
		period:      pick(lives[0].period, lives[1].period, lives[2].period),
		renewWithin: pick(lives[0].renewWithin, lives[1].renewWithin, lives[2].renewWithin),
	}, nil
}

// pick is theirs, unless it was changed here. What both have changed is a contradiction, unless it is the same.
func pick[V any](before, ours, theirs V) V {
	if same(before, ours) {
		return theirs
	}
	return ours
}

// same compares values as they stand in metadata.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// mergeMaps is theirs with the members that were added, changed or removed here.
func mergeMaps[V any](before, ours, theirs map[string]V) map[string]V {
	if theirs == nil {
		theirs = map[string]V{}
	}
	for name := range before {
		if _, ok := ours[name]; !ok {
			delete(theirs, name)
		}
	}
	for name, value := range ours {
		if old, ok := before[name]; !ok || !same(old, value) {
			theirs[name] = value
		}
	}
	return theirs
}

// mergeSet is theirs without what was removed here, and then what was added here.
func mergeSet(before, ours, theirs []string) []string {
	out := slices.DeleteFunc(slices.Clone(theirs), func(id string) bool { return slices.Contains(before, id) && !slices.Contains(ours, id) })
	for _, id := range ours {
		if !slices.Contains(before, id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func mergeRoot(before, ours, theirs *tuf.RootType) {
	for name, o := range ours.Roles {
		a, t := before.Roles[name], theirs.Roles[name]
		if a == nil || t == nil {
			theirs.Roles[name] = pick(a, o, t)
			continue
		}
		t.KeyIDs = mergeSet(a.KeyIDs, o.KeyIDs, t.KeyIDs)
		t.Threshold = pick(a.Threshold, o.Threshold, t.Threshold)
	}
	theirs.Keys = mergeKeys(before.Keys, ours.Keys, theirs.Keys, rootKeyIDs(theirs))
	theirs.ConsistentSnapshot = pick(before.ConsistentSnapshot, ours.ConsistentSnapshot, theirs.ConsistentSnapshot)
	theirs.UnrecognizedFields = mergeMaps(before.UnrecognizedFields, ours.UnrecognizedFields, theirs.UnrecognizedFields)
}

// mergeKeys is theirs with the keys from here that are in use, without those from before that no longer are.
func mergeKeys(before, ours, theirs map[string]*tuf.Key, used [][]string) map[string]*tuf.Key {
	if theirs == nil {
		theirs = map[string]*tuf.Key{}
	}
	for _, ids := range used {
		for _, id := range ids {
			if theirs[id] == nil && ours[id] != nil {
				theirs[id] = ours[id]
			}
		}
	}
	for id := range before {
		if ours[id] == nil && !slices.ContainsFunc(used, func(ids []string) bool { return slices.Contains(ids, id) }) {
			delete(theirs, id)
		}
	}
	return theirs
}

// mergeDelegations merges what a role delegates, and reports whether one order follows from the two.
func mergeDelegations(before, ours, theirs *tuf.Delegations) (merged *tuf.Delegations, ordered bool) {
	switch {
	case same(before, ours):
		return theirs, true
	case same(before, theirs), same(ours, theirs):
		return ours, true
	}
	a, o, t := orEmpty(before), orEmpty(ours), orEmpty(theirs)
	order, ordered := mergeOrder(roleNamesIn(a), roleNamesIn(o), roleNamesIn(t))
	out := *t
	out.Roles = nil
	for _, name := range order {
		out.Roles = append(out.Roles, mergeDelegation(delegated(a, name), delegated(o, name), delegated(t, name)))
	}
	out.SuccinctRoles = mergeSuccinct(a.SuccinctRoles, o.SuccinctRoles, t.SuccinctRoles)
	out.Keys = mergeKeys(a.Keys, o.Keys, t.Keys, delegationKeyIDs(&out))
	return &out, ordered
}

func orEmpty(d *tuf.Delegations) *tuf.Delegations {
	if d == nil {
		return &tuf.Delegations{}
	}
	return d
}

func roleNamesIn(d *tuf.Delegations) []string {
	var names []string
	for _, r := range d.Roles {
		names = append(names, r.Name)
	}
	return names
}

// delegated is the delegation of a role by its name, nil if there is none.
func delegated(d *tuf.Delegations, name string) *tuf.DelegatedRole {
	i := slices.IndexFunc(d.Roles, func(r tuf.DelegatedRole) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &d.Roles[i]
}

// mergeDelegation merges one delegation that at least one of ours and theirs has.
func mergeDelegation(before, ours, theirs *tuf.DelegatedRole) tuf.DelegatedRole {
	switch {
	case theirs == nil:
		return *ours
	case ours == nil || before == nil:
		return *theirs
	}
	out := *theirs
	out.KeyIDs = mergeSet(before.KeyIDs, ours.KeyIDs, theirs.KeyIDs)
	out.Threshold = pick(before.Threshold, ours.Threshold, theirs.Threshold)
	out.Paths = pick(before.Paths, ours.Paths, theirs.Paths)
	out.PathHashPrefixes = pick(before.PathHashPrefixes, ours.PathHashPrefixes, theirs.PathHashPrefixes)
	out.Terminating = pick(before.Terminating, ours.Terminating, theirs.Terminating)
	return out
}

func mergeSuccinct(before, ours, theirs *tuf.SuccinctRoles) *tuf.SuccinctRoles {
	if before == nil || ours == nil || theirs == nil {
		return pick(before, ours, theirs)
	}
	out := *theirs
	out.KeyIDs = mergeSet(before.KeyIDs, ours.KeyIDs, theirs.KeyIDs)
	out.Threshold = pick(before.Threshold, ours.Threshold, theirs.Threshold)
	out.BitLength = pick(before.BitLength, ours.BitLength, theirs.BitLength)
	out.NamePrefix = pick(before.NamePrefix, ours.NamePrefix, theirs.NamePrefix)
	return &out
}

// mergeOrder is the order of what either side has in addition to what both kept. Order is priority: if both have changed
// that of the roles that they share, neither can be preferred.
func mergeOrder(before, ours, theirs []string) (order []string, ok bool) {
	shared := func(names, with []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(with, n) })
	}
	first, second := theirs, ours
	if !slices.Equal(shared(before, ours), shared(ours, before)) { // reordered here
		ok = slices.Equal(shared(before, theirs), shared(theirs, before)) || slices.Equal(shared(ours, theirs), shared(theirs, ours))
		first, second = ours, theirs
	} else {
		ok = true
	}
	for _, name := range first {
		if slices.Contains(second, name) || !slices.Contains(before, name) {
			order = append(order, name)
		}
	}
	for i, name := range second {
		if slices.Contains(first, name) || slices.Contains(before, name) {
			continue // there already, or removed by the other
		}
		order = slices.Insert(order, placeBefore(order, second[i+1:]), name)
	}
	return order, ok
}

// placeBefore is where to insert a name so that it stands before the first of those that are to come after it.
func placeBefore(order, after []string) int {
	for _, name := range after {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
	}
	if i := slices.Index(order, imagesRole); i >= 0 {
		return i
	}
	return len(order)
}
