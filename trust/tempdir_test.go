package trust_test

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// Whoever owns the directory for temporary files can put another directory there in
// place of the one from which go-tuf reads what is stored, once a refresh has begun.
// Nothing older than what is stored comes in by that.
func TestTemporaryDirectoryOfSomebodyElse(t *testing.T) {
	stranger := func(meta map[string]any, version int64) { // of another version, without length and hashes
		clear(meta)
		meta["version"] = version
	}
	tests := map[string]struct {
		// offer puts out something else than what is stored, given what was published
		// before, and returns what is put in the place of that; nil for nothing.
		offer func(w *world, old map[string][]byte, version int64) map[string][]byte
		role  string // that went back; "" if the refresh succeeds
		twice bool   // of a version that is stored
		newer bool   // role did not go back: nobody knows its bytes
	}{
		"an older timestamp": {role: "timestamp", offer: func(w *world, old map[string][]byte, _ int64) map[string][]byte {
			w.put(old)
			return nil
		}},
		"an older timestamp, which lies in the place of the stored one too": {
			role: "timestamp",
			offer: func(w *world, old map[string][]byte, _ int64) map[string][]byte {
				w.put(old)
				return map[string][]byte{"timestamp.json": old["metadata/timestamp.json"]}
			},
		},
		"another timestamp of the stored version": {
			role: "timestamp", twice: true,
			offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
				w.ForgeAlone("timestamp", func(signed map[string]any) { signed["expires"] = "2030-01-30T00:00:00Z" })
				w.out()
				return nil
			},
		},
		"a newer timestamp with an older snapshot": {role: "snapshot", offer: func(w *world, old map[string][]byte, version int64) map[string][]byte {
			w.ForgeAlone("timestamp", func(signed map[string]any) {
				signed["version"] = 9
				stranger(meta(signed, "snapshot.json"), version)
			})
			old["metadata/timestamp.json"] = w.Data("timestamp")
			w.put(old)
			return nil
		}},
		"a newer snapshot with older targets": {role: "targets", offer: func(w *world, old map[string][]byte, version int64) map[string][]byte {
			w.publish()
			w.Forge("snapshot", func(signed map[string]any) { stranger(meta(signed, "targets.json"), version) })
			maps.Copy(old, w.Files())
			w.put(old)
			return nil
		}},
		"a newer timestamp that lists less": {offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
			w.ForgeAlone("timestamp", func(signed map[string]any) {
				signed["version"] = w.Version("timestamp") + 1
				signed["meta"].(map[string]any)["../x.json"] = map[string]any{"version": 1}
			})
			w.out()
			w.mustRefresh()
			if !strings.Contains(w.stateFiles()["timestamp.json"], "../x") {
				w.t.Fatal("what is listed more is not stored")
			}
			w.SetVersion("timestamp", 9)
			w.publish()
			return nil
		}},
		"a newer timestamp, where the source has one that nobody has signed": {
			role: "timestamp", newer: true,
			offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
				w.publish()
				newest := w.Files()
				signed := newest["metadata/timestamp.json"]
				newest["metadata/timestamp.json"] = bytes.Replace(signed, []byte(`"version"`), []byte(`"x":1,"version"`), 1)
				w.put(newest)
				return map[string][]byte{"timestamp.json": signed}
			},
		},
		"a newer snapshot": {
			role: "snapshot", newer: true,
			offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
				w.publish()
				return map[string][]byte{"snapshot.json": w.Data("snapshot")}
			},
		},
		"newer targets": {
			role: "targets", newer: true,
			offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
				w.Touch("targets")
				w.publish()
				return map[string][]byte{"targets.json": w.Data("targets")}
			},
		},
		"newer targets, of which nothing states the hash": {
			role: "targets", newer: true,
			offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
				w.Touch("targets")
				w.publish()
				w.Forge("snapshot", func(signed map[string]any) { stranger(meta(signed, "targets.json"), w.Version("targets")) })
				w.out()
				return map[string][]byte{"targets.json": w.Data("targets")}
			},
		},
		"what is newer": {offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
			w.publish()
			return nil
		}},
		"what is stored": {offer: func(*world, map[string][]byte, int64) map[string][]byte { return nil }},
		"what is lower after a rotation of keys": {offer: func(w *world, _ map[string][]byte, _ int64) map[string][]byte {
			old := w.Keys("timestamp")
			w.SetVersion("timestamp", 1<<31)
			w.publish()
			w.mustRefresh()
			w.SetVersion("timestamp", 9)
			w.SetKeys("timestamp", []*tuftest.Key{old[0], tuftest.NewKey(w.t, tuftest.Ed25519)}, 1)
			w.publish()
			return nil
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
			old, version := w.Files(), w.Version("targets")
			if version != w.Version("snapshot") {
				t.Fatalf("versions %d and %d", version, w.Version("snapshot"))
			}
			w.Touch("targets")
			w.publish()
			w.mustRefresh()
			instead := tt.offer(w, old, version)
			before := w.stateFiles()
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			var swapped atomic.Bool
			w.place.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.HasSuffix(r.URL.Path, ".root.json") && !swapped.Load() { // go-tuf asks for roots first
					swapped.Store(swap(t, tmp, instead) != "")
				}
				next.ServeHTTP(rw, r)
			})
			_, err := w.refresh()
			if !swapped.Load() {
				t.Fatal("nothing was swapped")
			}
			if tt.role == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			kind := trust.ErrRollback
			if tt.newer {
				kind = trust.ErrState
			}
			e := refused(t, err, kind)
			if e.Role != tt.role || !tt.newer && e.Want < e.Version || e.Want == e.Version && !tt.twice || e.Source == "" || !strings.Contains(e.Detail, "TMPDIR") {
				t.Errorf("evidence %+v", e)
			}
			w.sameState(before)
		})
	}
}

// A link in the place of that directory leads nobody to remove files elsewhere.
func TestLinkInPlaceOfTheTemporaryDirectory(t *testing.T) {
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	w.mustRefresh()
	w.RotateKey("timestamp")
	w.publish()
	tmp, elsewhere := t.TempDir(), t.TempDir()
	precious := filepath.Join(elsewhere, "metadata", "timestamp.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(precious), 0o700), os.WriteFile(precious, w.Data("timestamp"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	var swapped atomic.Bool
	w.place.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, ".root.json") && !swapped.Load() {
			if made := swap(t, tmp, nil); made != "" {
				swapped.Store(os.Symlink(elsewhere, made) == nil)
			}
		}
		next.ServeHTTP(rw, r)
	})
	_, err := w.refresh()
	if !swapped.Load() {
		t.Fatal("nothing was swapped")
	}
	if _, gone := os.Stat(precious); gone != nil {
		t.Errorf("%v; the refresh: %v", gone, err)
	}
}

// Versions that somebody has written into the state without the keys protect from
// nothing, and lock nobody out.
func TestPlantedVersionsDoNotCount(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"timestamp.json", "snapshot.json"} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.Touch("targets")
		w.publish()
		w.mustRefresh()
		data := w.stateFiles()[name]
		high := strings.ReplaceAll(data, `"version":2`, `"version":99`)
		if strings.Count(high, `"version":99`) < 2 {
			t.Fatalf("%s is not edited", name)
		}
		w.writeState(name, []byte(high))
		w.publish()
		if got := w.mustRefresh().Status().Timestamp.Version; got != 3 {
			t.Errorf("%s: timestamp v%d", name, got)
		}
	}
}

// swap puts a directory with these files in the place of the one that a refresh has
// made, and returns its name; "" if there was none.
func swap(t *testing.T, tmp string, files map[string][]byte) string {
	t.Helper()
	made, err := filepath.Glob(filepath.Join(tmp, "tufoci-*"))
	if err != nil || len(made) != 1 {
		return ""
	}
	if err := os.Rename(made[0], filepath.Join(tmp, "away")); err != nil {
		t.Error(err)
	}
	for name, data := range files {
		file := filepath.Join(made[0], "metadata", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Error(err)
		}
	}
	return made[0]
}
