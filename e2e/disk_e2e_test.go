//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// runWithMounts runs the test that calls it again, as a process with mounts of its own.
// In that process it returns true.
func runWithMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apart) != "" {
		return true
	}
	asRoot := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	asAnybody := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var err error
	for _, attributes := range []*syscall.SysProcAttr{asRoot, asAnybody} {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
		command.Env = append(os.Environ(), apart+"=1")
		command.SysProcAttr = attributes
		var out strings.Builder
		command.Stdout, command.Stderr = &out, &out
		if err = command.Start(); err == nil {
			if err := command.Wait(); err != nil {
				t.Fatalf("with mounts of its own: %v\n%s", err, &out)
			}
			t.Logf("with mounts of its own:\n%s", &out)
			return false
		}
	}
	need(t, "a mount namespace", "it takes root or user namespaces: "+err.Error())
	return false
}

// mount mounts a small file system, which ends with the process.
func mount(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// What is mounted here is not to be seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=0755"); err != nil {
		need(t, "a tmpfs", err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill fills the file system of a directory, but for some pages.
func fill(t testing.TB, dir string, pages int) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, page := int64(0), int64(os.Getpagesize())
	for {
		n, err := f.Write(make([]byte, page))
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(max(0, size-int64(pages)*page)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// files is all that lies in a directory, but for locks and the ballast.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasSuffix(e.Name(), "lock") || e.Name() == "ballast" {
			return err
		}
		data, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wordsOfFull are in what is said of a full disk: what it is, and what to do.
var wordsOfFull = []string{"no space left on device", "make room, then `tufoci "}

// TestFullDisk runs each command that writes with no room at all, then with a page,
// two, and so on until it succeeds. Each failure says that the disk is full, leaves
// whole what was there and nothing half, and with room the same command succeeds.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !runWithMounts(t) {
		return
	}
	disk := filepath.Join(t.TempDir(), "disk")
	mount(t, disk)
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	publisher, consumer := newPublisher(t, registry.Host()), newPerson(t)
	repository, root := registry.Host()+"/acme/trust", publisher.rootFile()
	publisher.stage(1)
	publisher.must("publish", "-y", "--plain-http")
	on := func(name string) string { return filepath.Join(disk, name) }
	consumer.env["XDG_CONFIG_HOME"], consumer.env["XDG_STATE_HOME"], consumer.env["XDG_CACHE_HOME"] = on("config"), on("state"), on("cache")
	consumer.trusts(repository, root)
	consumer.must("trust", "update", "acme", "--plain-http")
	consumer.must("mirror", "save", "acme", "-o", on("old.tar"), "--plain-http")
	if err := os.CopyFS(on("workspace"), os.DirFS(publisher.env["TUFOCI_WORKSPACE"])); err != nil {
		t.Fatal(err)
	}
	publisher.env["TUFOCI_WORKSPACE"] = on("workspace")
	publisher.stage(2)
	publisher.must("publish", "-y", "--plain-http")
	for _, tt := range []struct {
		who  *person
		args []string
		fits bool // it needs no room: a cache that is full is no failure
	}{
		{consumer, []string{"get", "acme", "watched.txt", "-o", on("out"), "--plain-http"}, false},
		{consumer, []string{"trust", "update", "acme", "--plain-http"}, true},
		{consumer, []string{"trust", "add", "more", repository, "--root", root, "--plain-http"}, false},
		{consumer, []string{"mirror", "save", "acme", "-o", on("new.tar"), "--plain-http"}, false},
		{consumer, []string{"mirror", "load", on("old.tar"), "oci-layout:" + on("layout"), "--root", root}, false},
		{publisher, []string{"target", "add", "watched.txt", publisher.file("x", []byte("3"))}, false},
		{publisher, []string{"publish", "-y", "--plain-http"}, false},
		{consumer, []string{"trust", "update", "acme", "--plain-http"}, false},
	} {
		what := strings.Join(tt.args, " ")
		failures := 0
		for pages := 0; ; pages++ {
			before := files(t, disk)
			empty := fill(t, disk, pages)
			o := tt.who.run(tt.args...)
			if o.code == 0 {
				empty()
				break
			}
			failures++
			for _, words := range wordsOfFull {
				if o.code != 1 || !strings.Contains(o.stderr, words) {
					t.Errorf("%s, %d pages: exit %d\n%s", what, pages, o.code, o.stderr)
				}
			}
			sound(t, fmt.Sprintf("%s, %d pages", what, pages), before, files(t, disk))
			consumer.must("trust", "show", "acme")
			empty()
			if failures > 100 {
				t.Fatalf("%s: %d failures, the last\n%s", what, failures, o.stderr)
			}
		}
		if (failures == 0) != tt.fits {
			t.Errorf("%s: %d failures", what, failures)
		}
		t.Logf("%s: %d failures", what, failures)
	}
	if got := consumer.watched(repository); got != 3 {
		t.Errorf("in the end there is %d", got)
	}
}

// sound fails the test if a command that had no room left a trace of it.
func sound(t testing.TB, what string, before, after map[string]string) {
	t.Helper()
	for name, data := range after {
		switch old, was := before[name]; {
		case strings.Contains(name, "/.tmp-"), strings.Contains(name, "/.tufoci-"), strings.Contains(name, "/.refresh-"):
			t.Errorf("%s: %s is left behind", what, name)
		case strings.HasSuffix(name, ".json") && !json.Valid([]byte(data)):
			t.Errorf("%s: %s is half written", what, name)
		case !was && (name == "/out" || name == "/new.tar"):
			t.Errorf("%s: %s is there", what, name)
		case was && old != data && strings.HasSuffix(name, ".yaml"):
			t.Errorf("%s: %s has changed", what, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok && !strings.HasPrefix(name, "/workspace/") {
			t.Errorf("%s: %s is gone", what, name)
		}
	}
}

// TestReadOnlyDisk runs each command of a consumer where nothing can be written: it
// answers, from memory, and says each time that this protects for one run only.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	if !runWithMounts(t) {
		return
	}
	disk := filepath.Join(t.TempDir(), "disk")
	mount(t, disk)
	c := newCrowdAt(t, disk)
	c.publish()
	c.answers(c.reads(c.file("out"))[1])
	older := c.newest
	c.publish()
	before := files(t, disk)
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range c.reads(out) {
		code, stdout, stderr := c.run(args...)
		if code != 0 || c.version(stdout) != c.newest || !strings.Contains(stderr, "rollback protection lasts for this run only") {
			t.Errorf("tufoci %s: exit %d, v%d\n%s", strings.Join(args, " "), code, c.version(stdout), stderr)
		}
	}
	// What was seen before still protects.
	c.put(older - 1)
	if code, _, stderr := c.run(c.reads(out)[0]...); code != 21 {
		t.Errorf("an older state exits %d\n%s", code, stderr)
	}
	c.put(c.newest)
	if code, _, stderr := c.run(c.adds("more")...); code != 1 || !strings.Contains(stderr, "read-only file system") {
		t.Errorf("trust add exits %d\n%s", code, stderr)
	}
	if after := files(t, disk); !maps.Equal(before, after) {
		t.Error("something was written")
	}
}
