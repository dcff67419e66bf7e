package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// A new client asks nothing. A refresh asks for the next root, the timestamp, and
// then only for what is new (TUF spec 5.3 to 5.6); of a registry it reads one
// manifest. What it accepts is stored as received.
func TestSuiteRefreshAsksWhatItNeeds(t *testing.T) {
	t.Parallel()
	for _, kind := range tuftest.NetworkKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, kind, tuftest.RepoOptions{})
			// Not the form in which a parser would write it again.
			out := func() {
				for _, role := range []string{"targets", "snapshot", "timestamp"} {
					w.Tamper(role, spread)
				}
				w.out()
			}
			out()
			if asked := w.askedOf(func() { w.client() }); len(asked) > 0 {
				t.Errorf("a new client has asked %v", asked)
			}
			for _, step := range []struct {
				name  string
				prior func()
				asks  string
			}{
				{"for the first time", func() {}, "[2.root.json timestamp.json 1.snapshot.json 1.targets.json]"},
				{"nothing is new", func() {}, "[2.root.json timestamp.json]"},
				{"the timestamp is new", func() { w.PublishTimestamp(); out() }, "[2.root.json timestamp.json]"},
				{"the snapshot is new", func() { w.Publish(); out() }, "[2.root.json timestamp.json 2.snapshot.json]"},
				{"targets is new", func() { w.Touch("targets"); w.Publish(); out() }, "[2.root.json timestamp.json 3.snapshot.json 2.targets.json]"},
				{
					"two roots are new", func() { w.RotateKey("root"); w.Publish(); w.RotateKey("root"); w.Publish(); out() },
					"[2.root.json 3.root.json 4.root.json timestamp.json 5.snapshot.json]",
				},
			} {
				step.prior()
				asked := w.askedOf(func() { w.mustAnswer("") })
				if kind == tuftest.InRegistry {
					step.asks = "[/v2/acme/trust/manifests/tuf]"
					for i, name := range asked {
						asked[i] = "/" + name
					}
				}
				if fmt.Sprint(asked) != step.asks {
					t.Errorf("%s: asked %v, want %s", step.name, asked, step.asks)
				}
			}
			for _, role := range []string{"timestamp", "snapshot", "targets"} {
				if w.stateFiles()[role+".json"] != string(w.Data(role)) {
					t.Errorf("%s is not stored as received", role)
				}
			}
		})
	}
}

// spread is JSON over several lines.
func spread(data []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, data, "", " ") != nil {
		return data
	}
	return out.Bytes()
}

// Without a lookup's own refresh a client has nothing to look up in: what is not
// there is not found in the newest state, which is stored.
func TestSuiteUnknownTargetIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	before := w.stateFiles()
	_, _, err := w.mustRefresh().Get(t.Context(), "no such file")
	refused(t, err, trust.ErrTargetNotFound)
	w.stored(before, []string{"root", "timestamp", "snapshot", "targets"}, nil)
}

// A first root that is none, or that its own keys did not sign, is refused before
// anything is asked (TUF spec 5.2). A later root is as good as the first: only those
// after it are asked for.
func TestSuiteInitialRoot(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	stranger := w.Fork()
	stranger.SignAs("root", tuftest.NewKey(t, tuftest.Ed25519))
	unnumbered := w.Fork()
	unnumbered.ForgeAlone("root", func(signed map[string]any) { delete(signed, "version") })
	for name, tt := range map[string]struct {
		root []byte
		kind error
	}{
		"without a version":           {unnumbered.RootBytes(), trust.ErrMalformed},
		"signed by other keys":        {stranger.RootBytes(), trust.ErrThreshold},
		"metadata of another role":    {w.Data("targets"), trust.ErrMalformed},
		"changed after it was signed": {bytes.Replace(w.RootBytes(), []byte("2030-01-31"), []byte("2039-01-31"), 1), trust.ErrThreshold},
	} {
		asked := w.askedOf(func() {
			_, err := trust.New(tt.root, trust.Options{Source: w.source(), StateDir: w.state})
			refused(t, err, tt.kind)
		})
		if len(asked) > 0 || len(w.stateFiles()) > 0 {
			t.Errorf("%s: asked %v, stored %v", name, asked, sorted(w.stateFiles()))
		}
	}
	for range 2 {
		w.RotateKey("root")
		w.publish()
	}
	asked := w.askedOf(func() {
		view, err := w.clientOf(w.Roots()[1]).Refresh(t.Context())
		if err != nil || versions(view) != w.published() {
			t.Error(err)
		}
	})
	if fmt.Sprint(asked) != "[3.root.json 4.root.json timestamp.json 3.snapshot.json 1.targets.json]" {
		t.Errorf("a pin of v2: asked %v", asked)
	}
}

// prefix are the roles that verify before one is reached.
func prefix(role string) []string {
	order := []string{"timestamp", "snapshot", "targets"}
	if role == "root" {
		return nil
	}
	if !isTop(role) {
		return order
	}
	return order[:slices.Index(order, role)]
}

// withTeam gives a repository a delegated role.
func withTeam(w *world) {
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
}

// each makes one rule for each role, also a delegated one.
func each(roles []string, make func(role string) rule) []rule {
	var rules []rule
	for _, role := range roles {
		r := make(role)
		r.name = role + " " + r.name
		r.seen = withTeam
		r.want.Role = role
		if role == "team" {
			r.ask = "team/file"
		}
		if r.accepted == nil {
			r.accepted = prefix(role)
		}
		rules = append(rules, r)
	}
	return rules
}

var (
	allRoles   = []string{"root", "timestamp", "snapshot", "targets", "team"}
	namedRoles = []string{"snapshot", "targets", "team"} // by version, length and hash
)

// Each role is refused that is not what it has to be. What verified before it stays
// trusted, nothing after it is taken.
func TestSuiteRoleIsRefused(t *testing.T) {
	t.Parallel()
	var rules []rule
	next := func(w *world) {
		w.Touch("root", "targets", "team")
		w.Publish()
	}
	rules = append(rules, each(allRoles, func(role string) rule {
		return rule{
			name:   "without its signature",
			broken: func(w *world) { next(w); w.Unsign(role, 0) },
			kind:   trust.ErrThreshold, want: trust.VerificationError{Need: 1},
			accepted: upTo(role),
		}
	})...)
	rules = append(rules, each(allRoles, func(role string) rule {
		return rule{
			name:   "signed by another role's key",
			broken: func(w *world) { next(w); w.SignAs(role, w.Keys(other(role))...) },
			kind:   trust.ErrThreshold, want: trust.VerificationError{Need: 1},
			accepted: upTo(role),
		}
	})...)
	rules = append(rules, each(allRoles, func(role string) rule {
		return rule{
			name:   "of another type",
			broken: func(w *world) { next(w); w.Forge(role, func(signed map[string]any) { signed["_type"] = "mirrors" }) },
			kind:   trust.ErrMalformed, accepted: upTo(role),
		}
	})...)
	rules = append(rules, each([]string{"root", "snapshot", "targets", "team"}, func(role string) rule {
		return rule{
			name: "of another version than its name",
			repo: tuftest.RepoOptions{BareMeta: true},
			broken: func(w *world) {
				next(w)
				w.ForgeAlone(role, func(signed map[string]any) { signed["version"] = 9 })
			},
			kind:     trust.ErrMismatch,
			want:     trust.VerificationError{Want: map[string]int64{"team": 2}[role]},
			accepted: upTo(role),
		}
	})...)
	for _, field := range []string{"hashes", "length"} {
		rules = append(rules, each(namedRoles, func(role string) rule {
			return rule{
				name: "of other " + field + " than are signed above it",
				broken: func(w *world) {
					next(w)
					above := map[string]string{"snapshot": "timestamp", "targets": "snapshot", "team": "snapshot"}[role]
					w.Forge(above, func(signed map[string]any) {
						entry := meta(signed, role+".json")
						entry[field] = map[string]any{"hashes": map[string]any{"sha256": hexHash}, "length": 1 + len(w.Data(role))}[field]
					})
				},
				kind:     trust.ErrMismatch,
				accepted: upTo(role),
			}
		})...)
	}
	rules = append(rules, each([]string{"timestamp", "snapshot", "targets", "team"}, func(role string) rule {
		return rule{
			name: "that was changed after it was signed",
			broken: func(w *world) {
				next(w)
				w.Tamper(role, func(data []byte) []byte { return bytes.Replace(data, []byte("2030-01-31"), []byte("2031-01-31"), 1) })
			},
			kind:     trust.ErrThreshold,
			want:     trust.VerificationError{Need: 1},
			accepted: upTo(role),
		}
	})...)
	holdRules(t, rules)
}

// withRoot is prefix after a new root.
func upTo(role string) []string {
	if role == "root" {
		return []string{}
	}
	return append([]string{"root"}, prefix(role)...)
}

func other(role string) string {
	if role == "timestamp" {
		return "snapshot"
	}
	return "timestamp"
}

// A file that the metadata names and the source does not have is never "nothing
// new": what came before it stays.
func TestSuiteFileIsNotThere(t *testing.T) {
	t.Parallel()
	holdRules(t, each(namedRoles, func(role string) rule {
		return rule{
			name: "that is not there",
			broken: func(w *world) {
				w.Touch("targets", "team")
				w.Publish()
				w.edit = func(files map[string][]byte) { delete(files, w.Title(role)) }
			},
			kind: trust.ErrStaleCopy,
			want: trust.VerificationError{Version: map[string]int64{"snapshot": 3, "targets": 3, "team": 2}[role]},
		}
	}))
}

// Without a timestamp there is no repository, whatever else is there.
func TestSuiteTimestampIsNotThere(t *testing.T) {
	t.Parallel()
	for _, kind := range suiteKinds(3) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, kind, tuftest.RepoOptions{})
			w.mustRefresh()
			before := w.stateFiles()
			w.Publish()
			w.edit = func(files map[string][]byte) { delete(files, "metadata/timestamp.json") }
			w.out()
			if _, err := w.refresh(); err == nil {
				t.Error("a source without a timestamp is refreshed from")
			} else if kind == tuftest.OverHTTP && !errors.Is(err, fetcher.ErrNoRepository) {
				t.Errorf("error %v", err)
			}
			w.stored(before, nil, nil)
			w.edit = nil
			w.out()
			w.mustAnswer("")
		})
	}
}

// What the metadata above does not name is not taken: a newer file of targets, a newer
// snapshot, and a timestamp of the version that is stored with other content, which
// is told as a fork.
func TestSuiteOnlyWhatIsNamedIsTaken(t *testing.T) {
	t.Parallel()
	for i, role := range []string{"timestamp", "snapshot", "targets"} {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(role, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.mustRefresh()
				before, honest := w.stateFiles(), w.Fork()
				want := w.published()
				if role == "timestamp" {
					w.ForgeAlone("timestamp", func(signed map[string]any) { meta(signed, "snapshot.json")["version"] = 100 })
				} else {
					w.Touch(role)
					w.Publish()
					files := honest.Files()
					files[w.Title(role)] = w.Data(role)
					w.edit = func(out map[string][]byte) { clear(out); maps.Copy(out, files) }
				}
				w.out()
				var view *trust.View
				asked := w.askedOf(func() { view = w.mustRefresh() })
				if got := versions(view); got != want || (view.Status().Fork != nil) != (role == "timestamp") {
					t.Errorf("%s, fork %v, want %s", got, view.Status().Fork, want)
				}
				if kind == tuftest.OverHTTP && fmt.Sprint(asked) != "[2.root.json timestamp.json]" {
					t.Errorf("asked %v", asked)
				}
				w.stored(before, nil, nil)
				w.edit = nil
				w.goOnFrom(honest)
				w.publish()
				w.mustAnswer("")
			})
		}
	}
}

// Members that nobody knows are signed like the others, and are taken (TUF spec 4).
func TestSuiteUnknownFields(t *testing.T) {
	t.Parallel()
	odd := map[string]any{"a": 1, "b": []any{"2", true, nil}, "": map[string]any{}}
	add := map[string]func(signed map[string]any){
		"root": func(signed map[string]any) {
			signed["custom-field"] = odd
			for _, part := range []string{"keys", "roles"} {
				for _, each := range signed[part].(map[string]any) {
					each.(map[string]any)["extra-field"] = odd
				}
			}
			for _, key := range signed["keys"].(map[string]any) {
				key.(map[string]any)["keyid_hash_algorithms"] = []any{"md5"}
			}
		},
		"timestamp": func(signed map[string]any) { signed["x"], meta(signed, "snapshot.json")["x"] = odd, odd },
		"snapshot":  func(signed map[string]any) { signed["x"], meta(signed, "targets.json")["x"] = odd, odd },
		"targets": func(signed map[string]any) {
			signed["x"] = odd
			d := signed["delegations"].(map[string]any)
			d["x"], d["roles"].([]any)[0].(map[string]any)["x"] = odd, odd
		},
		"team": func(signed map[string]any) {
			signed["targets"].(map[string]any)["team/file"].(map[string]any)["x"] = odd
		},
	}
	next := func(w *world, role string) {
		w.Touch("root", "targets", "team")
		w.Publish()
		w.Forge(role, add[role])
	}
	for i, role := range allRoles {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(role, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				withTeam(w)
				w.publish()
				w.mustAnswer("team/file")
				before := w.stateFiles()
				next(w, role)
				w.out()
				w.mustAnswer("team/file")
				w.stored(before, allRoles, nil)
			})
		}
	}
	// The signature is over them: a changed one is found.
	holdRules(t, each(allRoles, func(role string) rule {
		return rule{
			name: "with a changed field that nobody knows",
			broken: func(w *world) {
				next(w, role)
				w.Tamper(role, func(data []byte) []byte { return bytes.Replace(data, []byte(`["2",`), []byte(`["3",`), 1) })
			},
			kind: trust.ErrThreshold, want: trust.VerificationError{Need: 1},
			accepted: upTo(role),
		}
	}))
}
