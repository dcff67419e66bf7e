package trust_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// signedAs says which of ten keys a role has, how many of them have to sign, and
// which keys do.
type signedAs struct {
	keys      []int
	threshold int
	signers   []int
}

func tenKeys(t *testing.T) []*tuftest.Key {
	t.Helper()
	keys := make([]*tuftest.Key, 10)
	for i := range keys {
		keys[i] = tuftest.NewKey(t, tuftest.Ed25519)
	}
	return keys
}

func pick(keys []*tuftest.Key, numbers []int) []*tuftest.Key {
	var picked []*tuftest.Key
	for _, n := range numbers {
		picked = append(picked, keys[n])
	}
	return picked
}

// A new root is signed by the threshold of the old keys, and by that of its own
// (TUF spec 5.3.4).
func TestSuiteRootRotation(t *testing.T) {
	t.Parallel()
	five, shifted := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}
	tests := []struct {
		name    string
		roots   []signedAs
		refused bool // the last one
		got     int
		need    int
	}{
		{name: "one key is replaced", roots: []signedAs{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 1}}, {[]int{2}, 1, []int{2}}}},
		{name: "others sign as well", roots: []signedAs{{[]int{1}, 1, []int{3, 1, 4}}, {[]int{2}, 1, []int{3, 2, 1, 4}}, {[]int{2}, 1, []int{3, 2, 4}}}},
		{name: "3 of 5 sign in changing parties", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {five, 3, []int{0, 4, 1}}, {five, 3, []int{0, 1, 3}}, {five, 3, []int{0, 1, 3}}}},
		{name: "one of 5 keys is replaced", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {shifted, 3, []int{0, 4, 1}}}},
		{name: "one of 5 keys is replaced, both sign once", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {shifted, 3, []int{0, 2, 4, 5}}, {shifted, 3, []int{0, 4, 5}}}},
		{name: "all of 5 keys are replaced", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {[]int{5, 6, 7, 8, 9}, 3, []int{0, 2, 4, 5, 6, 7}}, {[]int{5, 6, 7, 8, 9}, 3, []int{5, 6, 7}}}},
		{name: "the threshold goes up", roots: []signedAs{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{1, 2}}}},
		{name: "the threshold goes down", roots: []signedAs{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}},
		{name: "threshold and keys go up", roots: []signedAs{{[]int{1}, 1, []int{1}}, {[]int{1, 2}, 2, []int{1, 2}}}},
		{name: "the old key is missing", roots: []signedAs{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 3, 4}}}, refused: true, got: 0, need: 1},
		{name: "the new key is missing", roots: []signedAs{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{1, 3, 4}}}, refused: true, got: 0, need: 1},
		{name: "one of the new keys is missing", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {shifted, 3, []int{0, 2, 4}}}, refused: true, got: 2, need: 3},
		{name: "one of the old keys is missing", roots: []signedAs{{five, 3, []int{0, 2, 4}}, {shifted, 3, []int{0, 4, 5}}}, refused: true, got: 2, need: 3},
		{name: "the new threshold is missed", roots: []signedAs{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{2}}}, refused: true, got: 1, need: 2},
		{name: "the old threshold is missed", roots: []signedAs{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}, refused: true, got: 1, need: 2},
	}
	for i, tt := range tests {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(tt.name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				keys := tenKeys(t)
				for _, root := range tt.roots { // from v2 on, which is pinned
					w.SetKeys("root", pick(keys, root.keys), root.threshold)
					w.Publish()
					w.SignAs("root", pick(keys, root.signers)...)
				}
				w.out()
				newest := int64(1 + len(tt.roots))
				view, err := w.clientOf(w.Roots()[1]).Refresh(t.Context())
				if tt.refused {
					e := refused(t, err, trust.ErrThreshold)
					if e.Role != "root" || e.Version != newest || e.Got != tt.got || e.Need != tt.need {
						t.Errorf("evidence %+v", e)
					}
					if w.stateFiles()[fmt.Sprintf("roots/%d.root.json", newest)] != "" {
						t.Error("the refused root is stored")
					}
					w.SignAs("root", keys...)
					w.out()
					view, err = w.clientOf(w.Roots()[1]).Refresh(t.Context())
				}
				if err != nil || versions(view) != w.published() {
					t.Fatalf("%v, want %s", err, w.published())
				}
				for version := int64(2); version <= newest; version++ {
					if got := w.stateFiles()[fmt.Sprintf("roots/%d.root.json", version)]; got != string(w.Roots()[version-1]) {
						t.Errorf("root v%d is not stored as it was served", version)
					}
				}
			})
		}
	}
}

// Another role is signed by the keys and threshold of the newest root alone.
func TestSuiteRoleRotation(t *testing.T) {
	t.Parallel()
	five, shifted := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}
	tests := []struct {
		name string
		signedAs
		got int // −1: it is accepted
	}{
		{"the key is replaced", signedAs{[]int{2}, 1, []int{2}}, -1},
		{"others sign as well", signedAs{[]int{1}, 1, []int{3, 1, 4}}, -1},
		{"the new key is missing", signedAs{[]int{2}, 1, []int{1, 3, 4}}, 0},
		{"one that signs is none of the keys", signedAs{shifted, 3, []int{0, 2, 4}}, 2},
		{"one is missing", signedAs{shifted, 3, []int{0, 4}}, 2},
		{"3 of 5: 0 2 4", signedAs{five, 3, []int{0, 2, 4}}, -1},
		{"3 of 5: 0 4 1", signedAs{five, 3, []int{0, 4, 1}}, -1},
		{"3 of 5: 0 1 3", signedAs{five, 3, []int{0, 1, 3}}, -1},
		{"3 of 5: 1 2 3", signedAs{five, 3, []int{1, 2, 3}}, -1},
		{"3 of 5: 2 3 4", signedAs{five, 3, []int{2, 3, 4}}, -1},
	}
	for i, tt := range tests {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(tt.name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				withTeam(w)
				w.publish()
				w.mustAnswer("team/file")
				keys := tenKeys(t)
				for _, role := range []string{"timestamp", "snapshot", "targets", "team"} {
					w.SetKeys(role, pick(keys, tt.keys), tt.threshold)
					w.Publish()
					w.SignAs(role, pick(keys, tt.signers)...)
					w.out()
					if tt.got < 0 {
						w.mustAnswer("team/file")
						continue
					}
					view, err := w.refresh()
					if err == nil {
						err = lookup(t, view, "team/file")
					}
					if e := refused(t, err, trust.ErrThreshold); e.Role != role || e.Got != tt.got || e.Need != tt.threshold {
						t.Errorf("evidence %+v", e)
					}
					w.SetVersion("timestamp", w.Version("timestamp")+1)
					w.RotateKey(role)
					w.publish()
					w.mustAnswer("team/file")
				}
			})
		}
	}
}

// Roots follow one another by one, and that one on the way has expired does not
// matter: only the last is judged (TUF spec 5.3.5, 5.3.10).
func TestSuiteRootChain(t *testing.T) {
	t.Parallel()
	next := func(w *world, expires time.Time) {
		w.SetExpiry("root", expires)
		w.Touch("targets")
		w.Publish()
	}
	year := tuftest.Epoch.AddDate(1, 0, 0)
	past := tuftest.Epoch.AddDate(-1, 0, 0)
	holdRules(t, []rule{
		{
			name: "last root that has expired",
			broken: func(w *world) {
				next(w, year)
				next(w, past)
			},
			kind: trust.ErrExpired, want: trust.VerificationError{Role: "root", Version: 3},
			accepted: []string{"root"},
			heal:     func(w *world) { w.SetExpiry("root", year); w.Touch("targets") },
		},
		{
			name: "root of a version that skips one",
			broken: func(w *world) {
				next(w, year)
				w.ForgeAlone("root", func(signed map[string]any) { signed["version"] = 3 })
			},
			kind: trust.ErrMismatch, want: trust.VerificationError{Role: "root", Version: 2},
		},
		{
			name: "root of the version before",
			broken: func(w *world) {
				next(w, year)
				w.ForgeAlone("root", func(signed map[string]any) { signed["version"] = 1 })
			},
			kind: trust.ErrMismatch, want: trust.VerificationError{Role: "root", Version: 2},
		},
	})
	for _, kind := range suiteKinds(2) {
		t.Run(fmt.Sprint("expired on the way in ", kind), func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, kind, tuftest.RepoOptions{})
			next(w, past)
			next(w, past)
			next(w, year)
			w.out()
			w.mustAnswer("")
		})
	}
}
