package trust_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// A role that has expired is refused. Of what it stands on all stays that verified
// before; the root is stored even so, since the next one is signed by it (TUF spec
// 5.3.10, 5.4.4, 5.5.6, 5.6.6).
func TestSuiteExpiredRole(t *testing.T) {
	t.Parallel()
	accepted := map[string][]string{
		"root": {"root"}, "timestamp": nil, "snapshot": {"timestamp"}, "targets": {"timestamp", "snapshot"},
		"team": {"timestamp", "snapshot", "targets"},
	}
	var rules []rule
	for _, role := range allRoles {
		rules = append(rules, each([]string{role}, func(role string) rule {
			r := rule{
				name: "that has expired",
				broken: func(w *world) {
					w.Touch("targets", "team")
					w.SetExpiry(role, tuftest.Epoch.Add(time.Hour)) // now
					w.Publish()
				},
				kind:     trust.ErrExpired,
				accepted: append([]string{}, accepted[role]...),
			}
			if role == "root" {
				r.heal = func(w *world) {
					w.SetExpiry("root", tuftest.Epoch.AddDate(1, 0, 0))
					w.Touch("targets", "team")
				}
			}
			return r
		})...)
	}
	holdRules(t, rules)
}

// What is stored and has expired since is used no more; but it still says what was
// seen: it protects from older versions, and something newer replaces it.
func TestSuiteExpiredStoredRole(t *testing.T) {
	t.Parallel()
	for i, role := range allRoles {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(role, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{Life: 100 * 24 * time.Hour})
				withTeam(w)
				w.AddTargetTo("team", "team/second", []byte("y"))
				w.publish()
				old := w.Fork()
				w.SetExpiry(role, tuftest.Epoch.AddDate(0, 0, 7))
				w.Touch("root", "team")
				w.publish()
				w.mustAnswer("team/file")
				before := w.stateFiles()

				w.now = tuftest.Epoch.AddDate(0, 0, 18)
				for range 2 {
					view, err := w.refresh()
					if err == nil {
						err = lookup(t, view, "team/second")
					}
					if e := refused(t, err, trust.ErrExpired); e.Role != role || e.Version != w.Version(role) || !e.Expires.Equal(tuftest.Epoch.AddDate(0, 0, 7)) {
						t.Errorf("evidence %+v", e)
					}
					w.stored(before, nil, nil)
				}
				fresh := w.Repo
				if role == "timestamp" || role == "snapshot" {
					w.Repo = old
					if role == "snapshot" {
						w.SetVersion("timestamp", fresh.Version("timestamp")+1)
						w.PublishTimestamp()
					}
					w.edit = func(files map[string][]byte) { files["metadata/2.root.json"] = fresh.Roots()[1] }
					w.out()
					_, err := w.refresh()
					refused(t, err, trust.ErrRollback)
					w.stored(before, nil, nil)
					w.Repo, w.edit = fresh, nil
				}
				w.SetVersion("timestamp", w.Version("timestamp")+2)
				w.SetExpiry(role, tuftest.Epoch.AddDate(0, 0, 21))
				w.publish()
				w.mustAnswer("team/second")
			})
		}
	}
}
