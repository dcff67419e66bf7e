package metadata

import (
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// rule is who may sign a role, in the eyes of one delegator.
type rule struct {
	by        string // "root v3"
	keys      map[string]*tuf.Key
	ids       []string
	threshold int
}

// newRule collects a rule; key ids without a key are left out, they can never count.
func newRule(by string, keys map[string]*tuf.Key, ids []string, threshold int) rule {
	r := rule{by: by, keys: map[string]*tuf.Key{}, threshold: threshold}
	for _, id := range ids {
		if k := keys[id]; k != nil && r.keys[id] == nil {
			r.keys[id] = k
			r.ids = append(r.ids, id)
		}
	}
	return r
}

func (r rule) equal(o rule) bool {
	return r.threshold == o.threshold && slices.Equal(slices.Sorted(maps.Keys(r.keys)), slices.Sorted(maps.Keys(o.keys)))
}

// signed tells which keys of the rule have a signature that verifies.
func (r rule) signed(payload []byte, sigs []tuf.Signature) map[string]bool {
	out := map[string]bool{}
	for _, s := range sigs {
		if k := r.keys[s.KeyID]; k != nil && VerifySignature(k, payload, s.Signature) == nil {
			out[s.KeyID] = true
		}
	}
	return out
}

// count is the number of distinct keys among those that signed: two ids of one key count once.
func (r rule) count(signed map[string]bool) int {
	var distinct []*tuf.Key
	for id := range signed {
		if !slices.ContainsFunc(distinct, func(k *tuf.Key) bool { return sameKey(k, r.keys[id]) }) {
			distinct = append(distinct, r.keys[id])
		}
	}
	return len(distinct)
}

// met reports whether the signatures reach the threshold.
func (r rule) met(payload []byte, sigs []tuf.Signature) bool {
	return r.threshold > 0 && r.count(r.signed(payload, sigs)) >= r.threshold
}

// idsOf returns the ids under which the rule knows a key. Foreign metadata may use ids that are not the key's hash.
func (r rule) idsOf(key *tuf.Key) []string {
	var ids []string
	for _, id := range r.ids {
		if sameKey(r.keys[id], key) {
			ids = append(ids, id)
		}
	}
	return ids
}

// rootRule is the rule of a top-level role under a root.
func rootRule(root *tuf.Metadata[tuf.RootType], role string) rule {
	by := fmt.Sprintf("root v%d", root.Signed.Version)
	if r := root.Signed.Roles[role]; r != nil {
		return newRule(by, root.Signed.Keys, r.KeyIDs, r.Threshold)
	}
	return rule{by: by}
}

// delegationRule is the rule of a delegated role in the eyes of one delegator, whose version is known.
func delegationRule(parent string, md *tuf.Metadata[tuf.TargetsType], d delegation) rule {
	by := fmt.Sprintf("%s v%d", parent, md.Signed.Version)
	keys := md.Signed.Delegations.Keys
	if d.succinct != nil {
		return newRule(by, keys, d.succinct.KeyIDs, d.succinct.Threshold)
	}
	return newRule(by, keys, d.role.KeyIDs, d.role.Threshold)
}
