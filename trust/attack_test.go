package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

func TestRollbackOfTimestamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	old := w.Files()
	w.publish()
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	w.put(old)
	_, err := w.refresh()
	e := refused(t, err, trust.ErrRollback)
	if e.Role != "timestamp" || e.Version != 1 || e.Want != 3 || e.Source != "memory:tuf" || e.Detail != "" {
		t.Errorf("evidence %+v", e)
	}
	w.sameState(before)
}

func TestRollbackOfSnapshotInTimestamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	w.PublishTimestamp()
	w.Forge("timestamp", func(signed map[string]any) { meta(signed, "snapshot.json")["version"] = 1 })
	w.out()
	_, err := w.refresh()
	e := refused(t, err, trust.ErrRollback)
	if e.Role != "snapshot" || e.Version != 1 || e.Want != 2 {
		t.Errorf("evidence %+v", e)
	}
	w.sameState(before)
}

func meta(signed map[string]any, file string) map[string]any {
	return signed["meta"].(map[string]any)[file].(map[string]any)
}

func TestRollbackOfTargetsInSnapshot(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		w := newWorld(t, tuftest.RepoOptions{BareMeta: bare})
		w.Touch("targets")
		w.publish()
		w.mustRefresh()
		before := w.stateFiles()
		w.publish()
		w.Forge("snapshot", func(signed map[string]any) { meta(signed, "targets.json")["version"] = 1 })
		w.out()
		_, err := w.refresh()
		e := refused(t, err, trust.ErrRollback)
		if e.Role != "targets" || e.Version != 1 || e.Want != 2 {
			t.Errorf("evidence %+v", e)
		}
		// The new timestamp verified and is kept; it protects from older ones.
		after := w.stateFiles()
		if after["timestamp.json"] != string(w.Data("timestamp")) || after["snapshot.json"] != before["snapshot.json"] {
			t.Error("want the new timestamp and the old snapshot in the state")
		}
	}
}

func TestRoleRemovedFromSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.publish()
	w.mustRefresh()
	w.publish()
	w.Forge("snapshot", func(signed map[string]any) { delete(signed["meta"].(map[string]any), "team.json") })
	w.out()
	_, err := w.refresh()
	if e := refused(t, err, trust.ErrRollback); e.Role != "team" || e.Want != 1 {
		t.Errorf("evidence %+v", e)
	}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{})
			at := tuftest.Epoch.Add(48 * time.Hour)
			w.SetExpiry(role, at)
			w.publish()
			w.now = at.Add(-time.Nanosecond)
			w.mustRefresh()
			// At the instant of its expiry metadata is expired (TUF spec 5.3.10 ff.), whether it
			// comes from the source, from the state, or the source says that nothing changed.
			w.now = at
			fresh := func(o *trust.Options) { o.StateDir = "" }
			_, offered := w.refresh(fresh)
			_, unchanged := w.refresh()
			_, stored := w.client().Load(t.Context())
			for _, err := range []error{offered, unchanged, stored} {
				e := refused(t, err, trust.ErrExpired)
				if e.Role != role || !e.Expires.Equal(at) || e.Version == 0 {
					t.Errorf("evidence %+v", e)
				}
			}
		})
	}
}

func TestExpiredIsNotStoredButItsRootIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.RotateKey("root")
	w.SetExpiry("timestamp", w.now)
	w.publish()
	_, err := w.refresh()
	refused(t, err, trust.ErrExpired)
	files := w.stateFiles()
	if len(files) != 2 || files["roots/2.root.json"] == "" {
		t.Errorf("stored: %v", sorted(files))
	}
}

func TestExpiredSnapshotAndTargetsAreNotStored(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"snapshot", "targets"} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.SetExpiry(role, w.now)
		w.publish()
		_, err := w.refresh()
		refused(t, err, trust.ErrExpired)
		files := w.stateFiles()
		if files["timestamp.json"] == "" || files[role+".json"] != "" {
			t.Errorf("%s: stored: %v", role, sorted(files))
		}
	}
}

func TestExpiredRootReplacedByNewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.SetExpiry("root", tuftest.Epoch.Add(time.Minute))
	w.publish()
	_, err := w.refresh()
	refused(t, err, trust.ErrExpired)
	if files := w.stateFiles(); files["roots/2.root.json"] == "" {
		t.Error("the expired root is part of the chain and is not stored")
	}
	w.SetExpiry("root", tuftest.Epoch.AddDate(1, 0, 0))
	w.publish()
	w.mustRefresh()
}

func TestMaxStale(t *testing.T) {
	t.Parallel()
	stale := func(o *trust.Options) { o.MaxStale = 24 * time.Hour }
	for _, role := range []string{"timestamp", "snapshot", "root", "targets", "team"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{})
			at := tuftest.Epoch.Add(48 * time.Hour)
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			w.SetExpiry(role, at)
			w.publish()
			w.now = at.Add(24*time.Hour - time.Nanosecond)
			view, err := w.refresh(stale)
			if err == nil {
				err = lookup(t, view, "team/file")
			}
			if role != "timestamp" && role != "snapshot" {
				if e := refused(t, err, trust.ErrExpired); e.Role != role {
					t.Errorf("evidence %+v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := view.Status(); !s.Stale || !s.Verified || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], role) {
				t.Errorf("status %+v", s)
			}
			// What was accepted is stored: a stale consumer is protected from rollback too.
			if files := w.stateFiles(); files["timestamp.json"] != string(w.Data("timestamp")) {
				t.Error("the stale state is not stored")
			}
			if _, err := w.refresh(); !errors.Is(err, trust.ErrExpired) {
				t.Errorf("without MaxStale: %v", err)
			}
			w.now = at.Add(24 * time.Hour)
			_, err = w.refresh(stale)
			refused(t, err, trust.ErrExpired)
		})
	}
}

func TestMixAndMatch(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		for _, role := range []string{"snapshot", "targets", "team"} {
			t.Run(fmt.Sprint(role, " bare ", bare), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, tuftest.RepoOptions{BareMeta: bare})
				w.Delegate("targets", "team", []string{"team/*"}, false)
				w.AddTargetTo("team", "team/file", []byte("x"))
				w.publish()
				old := w.Data(role)
				w.Touch("targets", "team")
				w.publish()
				w.edit = func(files map[string][]byte) { files[w.Title(role)] = old }
				w.out()
				view, err := w.refresh()
				if role == "team" && err == nil {
					err = lookup(t, view, "team/file")
				}
				if e := refused(t, err, trust.ErrMismatch); e.Role != role {
					t.Errorf("evidence %+v", e)
				}
			})
		}
	}
}

// Another file of the version that the snapshot names, validly signed: only the
// hash tells.
func TestOtherBytesOfOneVersion(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"snapshot", "targets", "team"} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.Delegate("targets", "team", []string{"team/*"}, false)
		w.AddTargetTo("team", "team/file", []byte("x"))
		w.publish()
		w.ForgeAlone(role, func(signed map[string]any) { signed["expires"] = "2030-01-30T00:00:00Z" })
		w.out()
		view, err := w.refresh()
		if role == "team" && err == nil {
			err = lookup(t, view, "team/file")
		}
		if e := refused(t, err, trust.ErrMismatch); e.Role != role {
			t.Errorf("evidence %+v", e)
		}
	}
}

// An attacker with one of two timestamp keys drove the version up; the publisher
// replaces that key (TUF spec 5.3.11).
func TestFastForwardIsRecoveredByKeyRotation(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"timestamp", "snapshot"} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprint(role, " crash ", crash), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, tuftest.RepoOptions{Keys: 2})
				kept := w.Keys(role)[1]
				honest := w.Fork()
				w.SetVersion(role, 1<<31)
				w.publish()
				if role == "snapshot" {
					w.Forge("snapshot", func(signed map[string]any) { meta(signed, "targets.json")["version"] = 1 << 31 })
					w.ForgeAlone("timestamp", func(map[string]any) {})
					w.out()
					if _, err := w.refresh(); err == nil {
						t.Fatal("targets v2^31 does not exist")
					}
				} else {
					w.mustRefresh()
				}

				w.Repo = honest
				w.Touch("targets")
				w.publish()
				w.publish()
				if _, err := w.refresh(); !errors.Is(err, trust.ErrRollback) {
					t.Fatalf("before the rotation: %v", err)
				}
				w.SetKeys(role, []*tuftest.Key{kept, tuftest.NewKey(t, tuftest.Ed25519)}, 1)
				w.publish()
				if crash {
					// A process that dies once the new root is stored has not
					// forgotten the old timestamp yet.
					client := w.client()
					client.OnWriteStep(func(step, file string) error {
						if step == "remove" {
							return errCrash
						}
						return nil
					})
					if _, err := client.Refresh(t.Context()); !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
				}
				if got := w.mustRefresh().Status().Targets.Version; got != 2 {
					t.Errorf("targets v%d", got)
				}
			})
		}
	}
}

var errCrash = errors.New("crash")

func TestRotationOfOtherKeysForgetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.publish()
	w.mustRefresh()
	old := w.Fork()
	w.publish()
	w.mustRefresh()
	old.RotateKey("root")
	old.RotateKey("targets")
	old.SetVersion("timestamp", 2)
	old.SetVersion("snapshot", 2)
	w.Repo = old
	w.publish()
	_, err := w.refresh()
	if e := refused(t, err, trust.ErrRollback); e.Role != "timestamp" || e.Version != 2 || e.Want != 3 {
		t.Errorf("evidence %+v", e)
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "team"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{Keys: 3, Threshold: 2})
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			w.mustRefresh()
			before := w.stateFiles()
			w.Touch("root", "targets")
			w.publish()
			w.Unsign(role, 1)
			w.out()
			view, err := w.refresh()
			if role == "team" && err == nil {
				err = lookup(t, view, "team/file")
			}
			e := refused(t, err, trust.ErrThreshold)
			if e.Role != role || e.Got != 1 || e.Need != 2 {
				t.Errorf("evidence %+v", e)
			}
			if role == "root" || role == "timestamp" {
				delete(before, "roots/2.root.json")
				after := w.stateFiles()
				delete(after, "roots/2.root.json")
				if after["timestamp.json"] != before["timestamp.json"] {
					t.Error("the state has changed")
				}
			}
		})
	}
}

func TestOtherKeysAndTamperedBytes(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.SignAs(role, tuftest.NewKey(t, tuftest.Ed25519))
		w.out()
		_, err := w.refresh()
		refused(t, err, trust.ErrThreshold)

		w = newWorld(t, tuftest.RepoOptions{})
		w.Tamper(role, func(data []byte) []byte {
			return bytes.Replace(data, []byte("2030-01-31"), []byte("2031-01-31"), 1)
		})
		w.out()
		_, err = w.refresh()
		refused(t, err, trust.ErrThreshold)
	}
}

func TestWrongRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	other := tuftest.NewRepo(t, tuftest.RepoOptions{})
	_, err := w.clientOf(other.RootBytes()).Refresh(t.Context())
	e := refused(t, err, trust.ErrWrongRoot)
	if want := [2]string{digest.FromBytes(other.RootBytes()).Encoded(), digest.FromBytes(w.RootBytes()).Encoded()}; e.Digests != want {
		t.Errorf("evidence %q, want %q", e.Digests, want)
	}
	if errors.Is(err, trust.ErrThreshold) {
		t.Errorf("one refusal, two kinds: %v", err)
	}

	w.RotateKey("root")
	w.publish()
	_, err = w.clientOf(other.RootBytes()).Refresh(t.Context())
	if e := refused(t, err, trust.ErrWrongRoot); e.Role != "root" || e.Version != 1 {
		t.Errorf("evidence %+v", e)
	}

	// A pin of a later version than the source has roots.
	for range 3 {
		other.RotateKey("root")
		other.Publish()
	}
	_, err = w.clientOf(other.Roots()[3]).Refresh(t.Context())
	refused(t, err, trust.ErrWrongRoot)
}

func TestPinIsNoRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{Keys: 2, Threshold: 2})
	for name, data := range map[string][]byte{
		"nothing": nil, "timestamp": w.Data("timestamp"), "text": []byte("root"),
		"cut": w.RootBytes()[:len(w.RootBytes())-9],
	} {
		if _, err := trust.New(data, trust.Options{}); !errors.Is(err, trust.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Unsign("root", 1)
	if _, err := trust.New(w.Data("root"), trust.Options{}); !errors.Is(err, trust.ErrThreshold) {
		t.Errorf("unsigned: %v", err)
	}
}

func TestPinLaterRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for range 3 {
		w.RotateKey("root")
		w.publish()
	}
	client := w.clientOf(w.Roots()[2])
	view, err := client.Refresh(t.Context())
	if err != nil || view.Status().Root.Version != 4 {
		t.Fatalf("%v", err)
	}
	if _, ok := view.RootVersion(2); ok {
		t.Error("a root below the pin counts as verified")
	}
	if _, ok := view.RootVersion(3); !ok {
		t.Error("the pin is missing")
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	other := w.Fork()
	w.AddTarget("file", []byte("one"))
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	ours := w.Data("timestamp")
	w.Repo = other
	w.AddTarget("file", []byte("two"))
	w.publish()
	for range 2 { // the second time it is still said
		view := w.mustRefresh()
		s := view.Status()
		want := [2]string{tuftest.Digest(ours)[7:], tuftest.Digest(w.Data("timestamp"))[7:]}
		if s.Fork == nil || s.Fork.Version != 2 || s.Fork.Digests != want || len(s.Warnings) != 1 {
			t.Fatalf("status %+v", s)
		}
		if target, err := view.Lookup(t.Context(), "file"); err != nil || target.Hashes["sha256"] != tuftest.Digest([]byte("one"))[7:] {
			t.Errorf("want the entry of the stored view: %v, %v", target, err)
		}
		w.sameState(before)
	}
}

// Whoever has no key can wrap the same signed content differently; that is no fork.
func TestOtherBytesAroundTheSameTimestamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	before := w.stateFiles()
	w.edit = func(files map[string][]byte) {
		files["metadata/timestamp.json"] = append(files["metadata/timestamp.json"], '\n')
	}
	w.out()
	if s := w.mustRefresh().Status(); s.Fork != nil || len(s.Warnings) != 0 {
		t.Errorf("status %+v", s)
	}
	w.sameState(before)
}

func TestForgedTimestampOfEqualVersionIsNoFork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	before := w.stateFiles()
	w.ForgeAlone("timestamp", func(signed map[string]any) { signed["expires"] = "2039-01-01T00:00:00Z" })
	w.SignAs("timestamp", tuftest.NewKey(t, tuftest.Ed25519))
	w.out()
	_, err := w.refresh()
	refused(t, err, trust.ErrThreshold)
	w.sameState(before)
}

func TestEndlessData(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "team"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{BareMeta: true})
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			w.Touch("root")
			w.publish()
			// Valid and signed, but for 1 MiB of white space: no metadata above it
			// states a length, so the limit has to.
			w.edit = func(files map[string][]byte) {
				files[w.Title(role)] = append(files[w.Title(role)], bytes.Repeat([]byte(" "), 1<<20)...)
			}
			w.pack.NoInline = true
			w.out()
			view, err := w.refresh()
			if role == "team" && err == nil {
				err = lookup(t, view, "team/file")
			}
			if err == nil || !strings.Contains(err.Error(), "limit") && !strings.Contains(err.Error(), "large") && !strings.Contains(err.Error(), "more than") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMinTimestamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	floor := func(o *trust.Options) { o.MinTimestamp = 2 }
	_, err := w.refresh(floor)
	if e := refused(t, err, trust.ErrMinTimestamp); e.Version != 1 || e.Want != 2 {
		t.Errorf("evidence %+v", e)
	}
	if files := w.stateFiles(); files["timestamp.json"] != "" {
		t.Error("what was refused is stored")
	}
	w.publish()
	w.mustRefresh(floor)
}

// The floor holds for what is stored too: it may have been raised since.
func TestMinTimestampOfTheState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	floor := func(o *trust.Options) { o.MinTimestamp = 2 }
	for name, load := range map[string]func(*trust.Client) (*trust.View, error){
		"without the network": func(c *trust.Client) (*trust.View, error) { return c.Load(t.Context()) },
		"unchanged":           func(c *trust.Client) (*trust.View, error) { return c.Refresh(t.Context()) },
	} {
		_, err := load(w.client(floor))
		if e := refused(t, err, trust.ErrMinTimestamp); e.Version != 1 || e.Want != 2 {
			t.Errorf("%s: evidence %+v", name, e)
		}
	}
}

// Below zero both would switch a check off, or into its opposite.
func TestNegativeOptions(t *testing.T) {
	t.Parallel()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	for _, o := range []trust.Options{{MaxStale: -1}, {MinTimestamp: -1}} {
		if _, err := trust.New(root, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestClockBehindLastSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.now = tuftest.Epoch.Add(time.Hour)
	w.mustRefresh()
	last := w.now
	w.now = last.Add(-5 * time.Minute)
	w.mustRefresh()
	w.now = last.Add(-5*time.Minute - time.Second)
	for _, edit := range []func(*trust.Options){func(*trust.Options) {}, func(o *trust.Options) { o.MaxStale = 24 * time.Hour }} {
		_, err := w.refresh(edit)
		refused(t, err, trust.ErrClock)
		_, err = w.client(edit).Load(t.Context())
		refused(t, err, trust.ErrClock)
	}
}
