//go:build unix

package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// poisoned is a state directory, and a cache, that somebody has got at.
type poisoned struct {
	*world
	outside string // a directory that nobody may write to
	sum     string // of the pin
}

// at is the path of something in the state.
func (p *poisoned) at(name string) string { return filepath.Join(p.state, p.sum, name) }

// blob is the path of the target team/file in the cache.
func (p *poisoned) blob() string {
	sum := strings.TrimPrefix(tuftest.Digest([]byte("x")), "sha256:")
	return filepath.Join(p.cache, "sha256", sum[:2], sum)
}

// replace puts something else in the place of a file or directory.
func (p *poisoned) replace(path string, put func(path string) error) {
	p.t.Helper()
	if err := os.RemoveAll(path); err != nil {
		p.t.Fatal(err)
	}
	if err := put(path); err != nil {
		p.t.Fatal(err)
	}
}

// within fails the test if something waits for what never comes.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

// odd are the things that are no file.
func (p *poisoned) odd() map[string]func(path string) error {
	genuine := filepath.Join(p.outside, "genuine")
	return map[string]func(path string) error{
		"a link to a file":    func(path string) error { return os.Symlink(genuine, path) },
		"a link to no file":   func(path string) error { return os.Symlink(filepath.Join(p.outside, "new"), path) },
		"a link to /dev/zero": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a pipe":              func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":         func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a file of 1 GiB":     sparse(1 << 30),
	}
}

func sparse(size int64) func(path string) error {
	return func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size))
	}
}

// newPoisoned has a state of version 2 with root 2, while version 3 is put out.
func newPoisoned(t *testing.T) *poisoned {
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.RotateKey("root")
	w.publish()
	view := w.mustRefresh()
	if _, _, err := view.Get(t.Context(), "team/file"); err != nil {
		t.Fatal(err)
	}
	w.publish()
	p := &poisoned{w, t.TempDir(), w.client().RootSHA256()}
	if err := os.WriteFile(filepath.Join(p.outside, "genuine"), []byte(w.stateFiles()["timestamp.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// again makes the same with a copy of its state and cache.
func (p *poisoned) again(t *testing.T, state, cache string) *poisoned {
	t.Helper()
	w := *p.world
	w.t, w.state, w.cache = t, t.TempDir(), t.TempDir()
	for from, to := range map[string]string{state: w.state, cache: w.cache} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return &poisoned{&w, p.outside, p.sum}
}

// refusedState fails the test unless everything is refused, and nothing changed.
func (p *poisoned) refusedState(want error) {
	p.t.Helper()
	before := p.tree()
	p.world.at.reset()
	if _, err := p.refresh(); !errors.Is(err, want) {
		p.t.Errorf("Refresh: error %v, want %v", err, want)
	}
	if _, err := p.client().Load(p.t.Context()); !errors.Is(err, want) {
		p.t.Errorf("Load: error %v, want %v", err, want)
	}
	if n := p.world.at.requests(); n != 0 {
		p.t.Errorf("%d requests", n)
	}
	if after := p.tree(); after != before {
		p.t.Errorf("the state has changed:\n%s\nbefore:\n%s", after, before)
	}
}

// healed fails the test unless a refresh comes to the newest state and all targets.
func (p *poisoned) healed() {
	p.t.Helper()
	view, err := p.refresh()
	if err != nil {
		p.t.Error(err)
		return
	}
	if s := view.Status(); s.Timestamp.Version != 3 || s.Root.Version != 2 || s.Fork != nil {
		p.t.Errorf("status %+v", s)
	}
	if data, _, err := view.Get(p.t.Context(), "team/file"); err != nil || string(data) != "x" {
		p.t.Errorf("target %q, error %v", data, err)
	}
}

// tree lists the state directory.
func (p *poisoned) tree() string {
	var list strings.Builder
	err := filepath.WalkDir(p.state, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		fmt.Fprintln(&list, strings.TrimPrefix(name, p.state), info.Mode(), info.Size(), info.ModTime().UnixNano())
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return list.String()
}

// What is written can be read back: roots that would be too many are not stored, and
// what was stored before is of use as before.
func TestStateHasRoomForItsRoots(t *testing.T) {
	t.Parallel()
	if most := fetcher.Ceilings().Roots; most >= trust.MaxStoredRoots {
		t.Errorf("one refresh can follow %d roots, a state holds the pin and %d", most, trust.MaxStoredRoots-1)
	}
	w := newWorld(t, tuftest.RepoOptions{})
	w.RotateKey("root")
	w.publish()
	w.mustRefresh()
	stored := w.stateFiles()
	size := int64(len(stored["roots/1.root.json"]) + len(stored["roots/2.root.json"]))
	w.RotateKey("root")
	w.publish()
	for name, most := range map[string]struct {
		roots int
		bytes int64
		unit  string
	}{
		"number": {2, 1 << 20, "roots"},
		"bytes":  {10, size, "bytes of roots"},
	} {
		client := w.client()
		client.SetMaxStored(most.roots, most.bytes)
		_, err := client.Refresh(t.Context())
		if over, ok := errors.AsType[*fetcher.LimitError](err); !ok || over.Unit != most.unit || !strings.Contains(err.Error(), "pin a later root") {
			t.Errorf("%s: %v", name, err)
		}
		w.sameState(maps.Clone(stored))
		if _, err := client.Load(t.Context()); err != nil {
			t.Errorf("%s: what was stored before: %v", name, err)
		}
	}
	client := w.client()
	client.SetMaxStored(3, 1<<20)
	if _, err := client.Refresh(t.Context()); err != nil {
		t.Errorf("as many as there is room for: %v", err)
	}
}

// Whatever lies in a state directory: what a crash can leave there heals, what
// nothing but a hand leaves is refused by name or left alone, roots are refused.
// Nothing waits, nothing is written through a link, nothing is believed.
func TestPoisonedState(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	base := newPoisoned(t)
	state, cache := base.state, base.cache
	other := newPoisoned(t)
	type test struct {
		poison func(p *poisoned)
		want   error // nil: it heals
		stays  string
	}
	tests := map[string]test{}
	// Things that are no files, in the place of each file.
	for name, put := range base.odd() {
		for _, file := range []string{
			"timestamp.json", "snapshot.json", "targets.json", "source.json", "bundle.json", "revocations.json", "roots/2.root.json", "roots/3.root.json",
		} {
			if file != "timestamp.json" && name != "a pipe" && name != "a file of 1 GiB" {
				continue // they are all read in one way
			}
			tests[file+" is "+name] = test{poison: func(p *poisoned) { p.replace(p.at(file), put) }, want: trust.ErrState}
		}
		tests["roles/team.json is "+name] = test{poison: func(p *poisoned) { p.replace(p.at("roles/team.json"), put) }}
		tests["the cached target is "+name] = test{poison: func(p *poisoned) { p.replace(p.blob(), put) }}
		if name != "a directory" {
			for _, dir := range []string{".", "roots", "roles"} {
				tests["the directory "+dir+" is "+name] = test{poison: func(p *poisoned) { p.replace(p.at(dir), put) }, want: trust.ErrState}
			}
		}
		if name != "a file of 1 GiB" {
			tests["the lock is "+name] = test{poison: func(p *poisoned) { p.replace(p.at("lock"), put) }, want: trust.ErrState}
		}
	}
	for _, dir := range []string{".", "roots", "roles"} {
		tests["the directory "+dir+" is a link to a directory"] = test{
			poison: func(p *poisoned) {
				p.replace(p.at(dir), func(path string) error { return os.Symlink(p.outside, path) })
			}, want: trust.ErrState,
		}
	}
	// Heaps.
	tests["the bytes of all roots"] = test{want: trust.ErrState, poison: func(p *poisoned) {
		for i := range 135 {
			p.replace(p.at(fmt.Sprintf("roots/%d.root.json", i+3)), sparse(500<<10))
		}
	}}
	tests["the number of roots"] = test{want: trust.ErrState, poison: func(p *poisoned) {
		file, roots := p.at("source.json"), p.at("roots")
		for i := range trust.MaxStoredRoots {
			if err := os.Link(file, filepath.Join(roots, fmt.Sprintf("%d.root.json", i+3))); err != nil {
				p.t.Fatal(err)
			}
		}
	}}
	tests["files of zeros that are just small enough"] = test{poison: func(p *poisoned) {
		for file, size := range map[string]int64{"timestamp.json": 64 << 10, "snapshot.json": 1 << 20, "targets.json": 1 << 20, "source.json": 1 << 20, "bundle.json": 4 << 20, "revocations.json": 1 << 20} {
			p.replace(p.at(file), sparse(size))
		}
	}}
	// Genuine files, of another time or place.
	tests["metadata of another repository"] = test{poison: func(p *poisoned) {
		for _, file := range []string{"timestamp.json", "snapshot.json", "targets.json", "bundle.json", "roles/team.json"} {
			p.writeState(file, []byte(other.stateFiles()[file]))
		}
	}}
	tests["roots of another repository"] = test{want: trust.ErrWrongRoot, poison: func(p *poisoned) { p.writeState("roots/2.root.json", other.Roots()[1]) }}
	tests["a newer timestamp alone"] = test{poison: func(p *poisoned) { p.writeState("timestamp.json", base.Data("timestamp")) }}
	tests["a newer snapshot and an older timestamp"] = test{poison: func(p *poisoned) { p.writeState("snapshot.json", base.Data("snapshot")) }}
	tests["another file in the cache"] = test{poison: func(p *poisoned) {
		p.replace(p.blob(), func(path string) error { return os.WriteFile(path, []byte("y"), 0o600) })
	}}
	// What source.json says counts as a whole, or not at all.
	for _, text := range []string{`{`, `{"format":1,"root":-1,`, `{"format":1,"size":-1,`, `{"format":1,"digest":"sha256:x",`, `{"format":-1,`} {
		tests["a time after "+text] = test{poison: func(p *poisoned) {
			p.writeState("source.json", []byte(text+`"success":"2999-01-01T00:00:00Z"}`))
		}}
	}
	// What is left alone.
	for name, file := range map[string]string{
		"beside":              "notes.txt",
		"of another form":     "roots/07.root.json",
		"below the first":     "roots/0.root.json.bak",
		"with a strange name": "roots/\n\x1b[31m.root.json",
		"a later lock":        "lock.d",
	} {
		tests["a file "+name] = test{poison: func(p *poisoned) { p.writeState(file, []byte("{}")) }, stays: file}
	}
	tests["a directory among the roles"] = test{poison: func(p *poisoned) {
		p.replace(p.at("roles/x.json/y"), func(path string) error { return os.MkdirAll(path, 0o700) })
	}, stays: "roles/x.json/y"}
	tests["a directory named like a temporary file"] = test{poison: func(p *poisoned) {
		p.replace(p.at(".tmp-1/y"), func(path string) error { return os.MkdirAll(path, 0o700) })
	}, stays: ".tmp-1/y"}
	tests["modes for everybody"] = test{poison: func(p *poisoned) {
		for _, name := range []string{".", "roots", "roles", "timestamp.json", "roots/2.root.json"} {
			if err := os.Chmod(p.at(name), 0o777); err != nil {
				p.t.Fatal(err)
			}
		}
	}}
	if os.Getuid() == 0 {
		tests["the files of somebody else"] = test{poison: func(p *poisoned) {
			for _, name := range []string{".", "roots", "roles", "timestamp.json", "roots/2.root.json"} {
				if err := os.Lchown(p.at(name), 12345, 12345); err != nil {
					p.t.Fatal(err)
				}
			}
		}}
	} else {
		tests["a file that cannot be read"] = test{want: os.ErrPermission, poison: func(p *poisoned) {
			if err := os.Chmod(p.at("timestamp.json"), 0); err != nil {
				p.t.Fatal(err)
			}
		}}
	}
	outside := listing(t, base.outside)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := base.again(t, state, cache)
			tt.poison(p)
			within(t, func() {
				if tt.want != nil {
					p.refusedState(tt.want)
					return
				}
				p.healed()
				if _, err := p.client().Load(t.Context()); err != nil { // what was left behind is sound
					t.Error(err)
				}
			})
			if tt.stays != "" {
				if _, err := os.Lstat(p.at(tt.stays)); err != nil {
					t.Error(err)
				}
			}
			if now := listing(t, base.outside); now != outside {
				t.Errorf("outside there is %q, before %q", now, outside)
			}
		})
	}
}

// listing is all that lies in a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	if err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&all, "%s: %s\n", name, data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// A stored bundle counts only if it is the one that was read last: one that lacks a
// layer would hide its file.
func TestPlantedBundle(t *testing.T) {
	t.Parallel()
	p := newPoisoned(t)
	p.mustRefresh()
	var bundle map[string]any
	if err := json.Unmarshal([]byte(p.stateFiles()["bundle.json"]), &bundle); err != nil {
		t.Fatal(err)
	}
	bundle["layers"] = slices.DeleteFunc(bundle["layers"].([]any), func(layer any) bool {
		return strings.Contains(fmt.Sprint(layer), ".file")
	})
	planted, err := json.Marshal(bundle)
	if err != nil {
		t.Fatal(err)
	}
	p.writeState("bundle.json", planted)
	p.cache = t.TempDir()
	p.healed()
}

// A file of the state that has a second name elsewhere is replaced, not written to.
func TestHardLinkIsNotWrittenThrough(t *testing.T) {
	t.Parallel()
	p := newPoisoned(t)
	link := filepath.Join(p.outside, "linked")
	if err := os.Link(p.at("timestamp.json"), link); err != nil {
		t.Skip(err)
	}
	before := listing(t, p.outside)
	p.healed()
	if after := listing(t, p.outside); after != before {
		t.Error("the other name has new content")
	}
}

// What killed processes left is removed, but not from under one that lives.
func TestSpareDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inUse, release, err := trust.MakeSpare(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, filepath.Base(inUse)+"1")
	if err := os.MkdirAll(filepath.Join(left, "metadata"), 0o700); err != nil {
		t.Fatal(err)
	}
	trust.RemoveTemporary(dir)
	if _, err := os.Lstat(inUse); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(left); err == nil {
		t.Error("what was left is still there")
	}
	release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, error %v", entries, err)
	}
}
