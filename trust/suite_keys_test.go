package trust_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// roleOf is what a root says about a role.
func roleOf(signed map[string]any, role string) map[string]any {
	return signed["roles"].(map[string]any)[role].(map[string]any)
}

// sign adds a signature to the published file of a role.
func (w *world) sign(role, keyID, sig string) {
	w.t.Helper()
	w.Tamper(role, func(data []byte) []byte {
		var file map[string]json.RawMessage
		var signatures []any
		if err := json.Unmarshal(data, &file); err != nil {
			w.t.Fatal(err)
		}
		if err := json.Unmarshal(file["signatures"], &signatures); err != nil {
			w.t.Fatal(err)
		}
		signatures = append([]any{map[string]any{"keyid": keyID, "sig": sig}}, signatures...)
		file["signatures"], _ = json.Marshal(signatures)
		out, err := json.Marshal(file)
		if err != nil {
			w.t.Fatal(err)
		}
		return out
	})
}

// A role counts the distinct keys that signed it, and needs its threshold of them
// (TUF spec 5.3.4, 5.4.2, 5.5.3, 5.6.3).
func TestSuiteThreshold(t *testing.T) {
	t.Parallel()
	extra := func(n int) func(w *world, role string) {
		return func(w *world, role string) {
			keys := w.Keys(role)
			for range n {
				keys = append(keys, tuftest.NewKey(t, tuftest.Ed25519))
			}
			w.SetKeys(role, keys, 3)
		}
	}
	var rules []rule
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		// The new keys of timestamp and snapshot take what was seen away with them.
		var forgotten []string
		if role != "targets" {
			forgotten = []string{"timestamp", "snapshot"}
		}
		heal := func(w *world) { w.Touch("targets"); w.RotateKey(role) }
		rules = append(
			rules,
			rule{
				name: role + " with fewer signatures than its threshold",
				seen: func(w *world) { extra(2)(w, role) },
				broken: func(w *world) {
					w.Touch("targets")
					w.Publish()
					w.Unsign(role, 2)
				},
				kind: trust.ErrThreshold, want: trust.VerificationError{Role: role, Got: 2, Need: 3},
				accepted: prefix(role),
			},
			rule{
				name: role + " with fewer keys than its threshold",
				broken: func(w *world) {
					extra(1)(w, role)
					w.Touch("targets")
					w.Publish()
				},
				kind: trust.ErrThreshold, want: trust.VerificationError{Role: role, Got: 2, Need: 3},
				accepted: upTo(role), forgotten: forgotten, heal: heal,
			},
			rule{
				name: role + " with one key under many names",
				broken: func(w *world) {
					key := w.Keys(role)[0]
					keys := []*tuftest.Key{key}
					for _, id := range []string{"a", "b", "c"} {
						same := *key
						same.ID = strings.Repeat(id, 64)
						keys = append(keys, &same)
					}
					w.SetKeys(role, keys, 3)
					w.Touch("targets")
					w.Publish()
				},
				kind: trust.ErrThreshold, want: trust.VerificationError{Role: role, Got: 1, Need: 3},
				accepted: upTo(role), forgotten: forgotten, heal: heal,
			},
			rule{
				name: role + " with one key named many times in its list",
				broken: func(w *world) {
					w.Touch("root", "targets")
					w.Publish()
					w.Forge("root", func(signed map[string]any) {
						id := w.Keys(role)[0].ID
						roleOf(signed, role)["keyids"], roleOf(signed, role)["threshold"] = []any{id, id, id}, 3
					})
				},
				kind: trust.ErrThreshold, want: trust.VerificationError{Role: role, Got: 1, Need: 3},
				accepted: upTo(role), forgotten: forgotten, heal: heal,
			},
			rule{
				name: role + " with two signatures of one key",
				broken: func(w *world) {
					w.Touch("targets")
					w.Publish()
					w.sign(role, w.Keys(role)[0].ID, strings.Repeat("00", 64))
				},
				kind: trust.ErrMalformed, want: trust.VerificationError{Role: role},
				accepted: prefix(role),
			},
		)
	}
	holdRules(t, rules)
}

// A signature that does not count takes nothing from those that do: a wrong one, an
// empty one, one by a key that the role does not have, or that nobody has.
func TestSuiteSignaturesThatDoNotCount(t *testing.T) {
	t.Parallel()
	entry := 0
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		for _, sig := range []string{"", "00", strings.Repeat("ab", 64)} {
			for _, kind := range suiteKinds(entry) {
				t.Run(fmt.Sprintf("%s with %q in %s", role, sig, kind), func(t *testing.T) {
					t.Parallel()
					w := newWorldIn(t, kind, tuftest.RepoOptions{})
					spare := tuftest.NewKey(t, tuftest.Ed25519)
					w.SetKeys(role, append(w.Keys(role), spare), 1)
					w.publish()
					w.Touch("root", "targets")
					w.Publish()
					w.SignAs(role, w.Keys(role)[0])
					w.sign(role, spare.ID, sig)
					w.sign(role, w.Keys(other(role))[0].ID, sig)
					w.sign(role, strings.Repeat("0", 64), sig)
					before := w.stateFiles()
					w.out()
					w.mustAnswer("")
					w.stored(before, []string{"root", "timestamp", "snapshot", "targets"}, nil)
				})
			}
			entry++
		}
	}
}

// Keys of each type of the specification verify what they signed, and nothing else.
func TestSuiteKeyTypes(t *testing.T) {
	t.Parallel()
	var rules []rule
	for _, kind := range []tuftest.KeyType{tuftest.Ed25519, tuftest.ECDSAP256, tuftest.ECDSAP384, tuftest.RSA} {
		// An RSA key takes a while to make.
		key := sync.OnceValue(func() *tuftest.Key { return tuftest.NewKey(t, kind) })
		rules = append(rules, rule{
			name: string(kind) + " key of another file's signature",
			// Both keys are needed, so that the new one verifies here.
			seen: func(w *world) { w.SetKeys("root", append(w.Keys("root"), key()), 2) },
			broken: func(w *world) {
				w.Touch("root")
				w.Publish()
				var of struct {
					Signatures []struct{ KeyID, Sig string }
				}
				if err := json.Unmarshal(w.Roots()[1], &of); err != nil {
					t.Error(err)
				}
				w.Unsign("root", 1)
				for _, s := range of.Signatures {
					if s.KeyID == key().ID {
						w.sign("root", key().ID, s.Sig)
					}
				}
			},
			kind: trust.ErrThreshold, want: trust.VerificationError{Role: "root", Version: 3, Got: 1, Need: 2},
		})
	}
	holdRules(t, rules)
}

// Of a role that lists a key of a type that nobody knows nothing counts, whoever
// signed besides.
func TestSuiteUnknownKeyType(t *testing.T) {
	t.Parallel()
	holdRules(t, each([]string{"snapshot"}, func(role string) rule {
		return rule{
			name: "with a key of an unknown type",
			broken: func(w *world) {
				unknown := *tuftest.NewKey(t, tuftest.Ed25519)
				unknown.Public = map[string]any{"keytype": "x", "scheme": "x", "keyval": map[string]any{"public": "x"}}
				w.SetKeys(role, append(w.Keys(role), &unknown), 1)
				w.Touch("targets")
				w.Publish()
			},
			kind:     trust.ErrMalformed,
			accepted: upTo(role), forgotten: []string{"timestamp", "snapshot"},
			heal: func(w *world) { w.RotateKey(role); w.Touch("targets", "team") },
		}
	}))
}
