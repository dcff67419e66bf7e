package tuftest

import (
	"fmt"
	"maps"
)

// delegationStates are lies in delegations, of somebody with the keys of targets.
func delegationStates() []Lie {
	keys := withKeys("targets")
	// edit changes the first delegation of targets, which is that to team.
	edit := func(name string, change func(r *Repo, all, team map[string]any)) Lie {
		return forging(name, keys, func(r *Repo) {
			r.Forge("targets", func(s map[string]any) {
				all := s["delegations"].(map[string]any)
				change(r, all, all["roles"].([]any)[0].(map[string]any))
			})
		})
	}
	one := func(r *Repo, all map[string]any) map[string]any {
		return all["keys"].(map[string]any)[r.Signer("team").ID].(map[string]any)
	}
	bins := func(name string, change func(bins map[string]any)) Lie {
		return forging(name, withKeys("images"), func(r *Repo) {
			r.Forge("images", func(s map[string]any) {
				change(s["delegations"].(map[string]any)["succinct_roles"].(map[string]any))
			})
		})
	}
	return []Lie{
		edit("delegation-with-a-threshold-above-its-keys", func(_ *Repo, _, team map[string]any) { team["threshold"] = 3 }),
		edit("delegation-with-an-absurd-threshold", func(_ *Repo, _, team map[string]any) { team["threshold"] = lastVersion }),
		edit("delegation-with-threshold-0", func(_ *Repo, _, team map[string]any) { team["threshold"] = 0 }),
		edit("delegation-without-keys", func(_ *Repo, _, team map[string]any) { team["keyids"] = []any{} }),
		edit("delegation-to-key-ids-of-no-key", func(_ *Repo, all, _ map[string]any) { all["keys"] = map[string]any{} }),
		edit("delegation-to-a-key-of-an-unknown-type", func(r *Repo, all, _ map[string]any) { one(r, all)["keytype"] = "rot13" }),
		edit("delegation-to-a-short-key", func(r *Repo, all, _ map[string]any) { one(r, all)["keyval"] = map[string]any{"public": "00"} }),
		edit("delegation-by-hash-prefixes", func(_ *Repo, _, team map[string]any) {
			delete(team, "paths")
			team["path_hash_prefixes"] = []any{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}
		}),
		edit("delegation-to-one-role-twice", func(_ *Repo, all, team map[string]any) { all["roles"] = []any{team, team} }),
		edit("delegations-and-bins-in-one-role", func(_ *Repo, all, team map[string]any) {
			all["succinct_roles"] = map[string]any{"keyids": team["keyids"], "threshold": 2, "bit_length": 1, "name_prefix": "team"}
		}),
		edit("delegation-to-a-role-that-no-snapshot-lists", func(_ *Repo, _, team map[string]any) { team["name"] = "ghost" }),
		twoIDs("delegation-to-one-key-under-two-ids", "targets", "team", func(r *Repo, change func(map[string]any)) {
			r.Forge("targets", func(s map[string]any) {
				all := s["delegations"].(map[string]any)
				change(map[string]any{"keys": all["keys"], "role": all["roles"].([]any)[0]})
			})
		}),
		bins("bins-of-no-bits", func(b map[string]any) { b["bit_length"] = 0 }),
		bins("bins-of-33-bits", func(b map[string]any) { b["bit_length"] = 33 }),
		bins("bins-of-32-bits", func(b map[string]any) { b["bit_length"] = 32 }),
		bins("bins-of-another-prefix", func(b map[string]any) { b["name_prefix"] = "../team" }),
		bins("bins-without-a-prefix", func(b map[string]any) { b["name_prefix"] = "" }),
		graph("delegations-in-a-cycle", func(r *Repo) {
			r.Delegate("team", "sub", []string{"team/*"}, false)
			r.Delegate("sub", "team", []string{"team/*"}, false)
		}),
		graph("delegation-to-itself", func(r *Repo) { r.Delegate("team", "team", []string{"team/*"}, false) }),
		graph("delegation-that-ends-before-a-role-that-answers", func(r *Repo) {
			r.Delegate("targets", "deaf", []string{"odd/*"}, true)
			r.Delegate("targets", "evil", []string{"odd/*"}, false)
			r.AddTargetTo("evil", "odd/file", []byte(Evil))
		}),
		graph("entry-outside-of-the-paths-of-a-role", func(r *Repo) { r.AddTargetTo("team", "odd/file", []byte(Evil)) }),
		graph("entry-that-targets-has-listed-before", func(r *Repo) {
			r.Delegate("targets", "evil", []string{"*"}, true)
			r.AddTargetTo("evil", StatesFile, []byte(Evil))
		}),
		graph("entry-outside-of-the-paths-of-bins", func(r *Repo) { r.AddTargetTo("images", "odd/file", []byte(Evil)) }),
		graph("a-thousand-delegations", func(r *Repo) {
			for i := range 40 {
				r.Delegate("targets", fmt.Sprintf("many%d", i), []string{"odd/*"}, false)
			}
			r.AddTargetTo("many39", "odd/file", []byte(Evil))
			r.Publish()
			r.Forge("targets", func(s map[string]any) {
				all := s["delegations"].(map[string]any)
				roles := all["roles"].([]any)
				for i := range 1000 {
					more := maps.Clone(roles[len(roles)-1].(map[string]any))
					more["name"] = fmt.Sprintf("more%d", i)
					all["roles"] = append(all["roles"].([]any), more)
				}
			})
		}),
		graph("reserved-names-in-a-delegated-role", func(r *Repo) {
			r.Delegate("targets", "wide", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			for _, name := range reservedNames {
				r.AddTargetTo("wide", name, []byte(Evil))
			}
		}),
		graph("reserved-names-in-bins", func(r *Repo) {
			for _, name := range reservedNames {
				r.AddTargetTo("images", name, []byte(Evil))
			}
		}),
	}
}

// reservedNames decide what else is trusted, and are the own of targets.
var reservedNames = []string{"notation/trustpolicy.json", "notation/x509/ca/acme/ca.pem", "revocations.json", "revocations/x.json", "tufoci/x"}

// graph is a lie of somebody with all keys but those of root, in what roles delegate and list.
func graph(name string, change func(r *Repo)) Lie {
	return forging(name, withKeys("targets"), func(r *Repo) {
		change(r)
		r.Publish()
	})
}
