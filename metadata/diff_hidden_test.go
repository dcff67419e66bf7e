package metadata

import (
	"encoding/json"
	"slices"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Whatever a signature is over, and is not the version, shows as a change: also what tufoci writes never.
func TestDiffHidesNothing(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	_, err := ws.AddTarget("notes", []byte("hello"), TargetOptions{})
	w.must(err)
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"rel"}}))
	other := w.key("root-z").Key().Value.PublicKey
	type object = map[string]any
	in := func(o object, names ...string) object {
		for _, n := range names {
			o = o[n].(object)
		}
		return o
	}
	first := func(o object) object {
		var names []string
		for n := range o {
			names = append(names, n)
		}
		slices.Sort(names)
		return o[names[0]].(object)
	}
	delegated := func(o object) object { return in(o, "delegations")["roles"].([]any)[0].(object) }
	for name, tt := range map[string]struct {
		role   string
		change func(signed object)
	}{
		"another key under an id": {"root", func(o object) {
			for _, k := range in(o, "keys") {
				in(k.(object), "keyval")["public"] = other
			}
		}},
		"another key under an id, of a delegation": {"targets", func(o object) {
			in(first(in(o, "delegations", "keys")), "keyval")["public"] = other
		}},
		"member of a key":        {"root", func(o object) { first(in(o, "keys"))["x"] = 1 }},
		"member of a key value":  {"root", func(o object) { in(first(in(o, "keys")), "keyval")["x"] = 1 }},
		"member of a root role":  {"root", func(o object) { in(o, "roles", "targets")["x"] = 1 }},
		"another hash":           {"targets", func(o object) { in(o, "targets", "notes", "hashes")["sha512"] = "00" }},
		"member of a target":     {"targets", func(o object) { in(o, "targets", "notes")["x"] = 1 }},
		"member of delegations":  {"targets", func(o object) { in(o, "delegations")["x"] = 1 }},
		"member of a delegation": {"targets", func(o object) { delegated(o)["x"] = 1 }},
		"hash prefixes for paths": {"targets", func(o object) {
			d := delegated(o)
			d["path_hash_prefixes"] = d["paths"]
			delete(d, "paths")
		}},
		"one path of two words": {"targets", func(o object) { delegated(o)["paths"] = []any{"charts/* (terminating)"} }},
		"roles and bins": {"targets", func(o object) {
			in(o, "delegations")["succinct_roles"] = object{"keyids": []any{}, "threshold": 1, "bit_length": 1, "name_prefix": "x"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, err := ws.staged[tt.role].inMemory()
			w.must(err)
			data, err := bytesOf(before)
			w.must(err)
			var doc object
			w.must(json.Unmarshal(data, &doc))
			tt.change(doc["signed"].(object))
			data, err = json.Marshal(doc)
			w.must(err)
			after, err := newRoleFile(tt.role, data)
			w.must(err)
			nameless := keyNames(func(*tuf.Key) string { return "" })
			changes, err := nameless.changes(before, after)
			w.must(err)
			if len(changes) == 0 {
				t.Error("nothing is shown")
			}
		})
	}
}

// Roles beside hash bins, which come before these for clients, are shown.
func TestDiffShowsRolesBesideBins(t *testing.T) {
	t.Parallel()
	nameless := keyNames(func(*tuf.Key) string { return "" })
	d := &tuf.Delegations{SuccinctRoles: &tuf.SuccinctRoles{KeyIDs: []string{"a"}, Threshold: 1, BitLength: 4, NamePrefix: "images"}}
	bins, both := facts{}, facts{}
	nameless.delegationFacts(bins, "images", d)
	d.Roles = []tuf.DelegatedRole{{Name: "other", KeyIDs: []string{"b"}, Threshold: 1, Paths: []string{"images/*"}}}
	nameless.delegationFacts(both, "images", d)
	if len(bins) != 2 || both[[2]string{"delegation", "other"}] != "images/*" {
		t.Errorf("bins alone %v, with a role beside them %v", bins, both)
	}
}
