package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

func openConfig(t testing.TB, dir string) *trust.Config {
	t.Helper()
	c, err := trust.OpenConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tufoci")
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	other := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	c := openConfig(t, dir)
	if len(c.List()) != 0 {
		t.Error("a new configuration is not empty")
	}
	if _, err := c.Get("acme"); !errors.Is(err, trust.ErrNoTrust) {
		t.Errorf("get: %v", err)
	}
	entry := trust.Entry{Name: "acme", Source: "registry.acme.io/trust/tuf:tuf"}
	if err := c.Add(entry, nil); !errors.Is(err, trust.ErrWrongRoot) {
		t.Errorf("without a root: %v", err)
	}
	wrong := entry
	wrong.RootSHA256 = tuftest.Digest(other)
	refused(t, c.Add(wrong, root), trust.ErrWrongRoot)
	// Blanks are no part of what is signed, and make a root that is not read back.
	if err := c.Add(entry, append(slices.Clone(root), bytes.Repeat([]byte{' '}, 4<<20)...)); !errors.Is(err, fetcher.ErrLimit) {
		t.Errorf("a root above the limit: %v", err)
	}
	if err := c.Add(entry, root); err != nil {
		t.Fatal(err)
	}
	entry.RootSHA256 = tuftest.Digest(root)[7:]
	check := func(want ...trust.Entry) {
		t.Helper()
		for _, c := range []*trust.Config{c, openConfig(t, dir)} {
			if got := c.List(); !reflect.DeepEqual(got, want) {
				t.Errorf("list %+v, want %+v", got, want)
			}
		}
	}
	check(entry)
	before, _ := os.ReadFile(filepath.Join(dir, "trust.yaml"))
	if err := c.Add(entry, root); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "trust.yaml")); string(after) != string(before) {
		t.Error("the same again has changed the file")
	}

	// Another root under the name is refused, the file stays as it is.
	for _, attempt := range []trust.Entry{{Name: "acme", Source: entry.Source}, {Name: "acme", Source: entry.Source, RootSHA256: tuftest.Digest(other)}} {
		if e := refused(t, c.Add(attempt, other), trust.ErrExists); e.Digests[0] != entry.RootSHA256 {
			t.Errorf("evidence %+v", e)
		}
	}
	check(entry)
	if got, err := c.RootBytes(entry); err != nil || string(got) != string(root) {
		t.Errorf("root: %v", err)
	}

	// Other members change.
	entry.MaxStale, entry.MinTimestamp, entry.Source = 15*24*time.Hour, 12, "https://tuf.example/metadata/"
	entry.TargetsURL = "https://tuf.example/t/"
	if err := c.Add(entry, nil); err != nil {
		t.Fatal(err)
	}
	check(entry)
	data, _ := os.ReadFile(filepath.Join(dir, "trust.yaml"))
	if !strings.Contains(string(data), "maxStale: 15d") || !strings.Contains(string(data), "root: sha256:"+entry.RootSHA256) {
		t.Errorf("trust.yaml:\n%s", data)
	}

	// Two trusts share a root file; it goes with the last of them.
	second := trust.Entry{Name: "acme-2", Source: "oci-layout:/srv/tuf:tuf"}
	if err := c.Add(second, root); err != nil {
		t.Fatal(err)
	}
	if err := openConfig(t, dir).Remove("acme"); err != nil {
		t.Fatal(err)
	}
	rootFile := filepath.Join(dir, "roots", entry.RootSHA256+".json")
	if _, err := os.Stat(rootFile); err != nil {
		t.Errorf("the root of another trust is gone: %v", err)
	}
	if err := c.Remove("acme"); !errors.Is(err, trust.ErrNoTrust) {
		t.Errorf("remove: %v", err)
	}
	if err := c.Remove("acme-2"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(rootFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the root file stays: %v", err)
	}
	check([]trust.Entry{}...)
}

// A trust may have no home, and a home may be all that there is.
func TestConfigWithoutHome(t *testing.T) {
	t.Parallel()
	root, dir := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes(), t.TempDir()
	c := openConfig(t, dir)
	for _, e := range []trust.Entry{{Name: "beside"}, {Name: "home", Source: "reg.example/a:tuf", Fallback: trust.FallbackNone}} {
		if err := c.Add(e, root); err != nil {
			t.Fatal(err)
		}
		got, err := openConfig(t, dir).Get(e.Name)
		if err != nil || got.Source != e.Source || got.Fallback != e.Fallback {
			t.Errorf("%+v, %v", got, err)
		}
		if source, err := got.HomeSource(); err != nil || (source.Kind == "") != (e.Source == "") {
			t.Errorf("%s: source %v, %v", e.Name, source, err)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Keys: 2, Threshold: 2})
	c := openConfig(t, t.TempDir())
	for _, name := range []string{"", "Acme", "a.b", "a/b", "a_b", "a b", "ä", "a\n"} {
		if err := c.Add(trust.Entry{Name: name, Source: "reg.example/a:tuf"}, repo.RootBytes()); !errors.Is(err, trust.ErrInvalidName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, e := range []trust.Entry{
		{Name: "a", Source: "ftp://x"},
		{Name: "a", Fallback: trust.FallbackNone},
		{Name: "a", TargetsURL: "https://x/"},
		{Name: "a", Source: "reg.example/a:tuf", Fallback: "all"},
		{Name: "a", Source: "reg.example/a:tuf", MaxStale: -1},
		{Name: "a", Source: "reg.example/a:tuf", MinTimestamp: -1},
	} {
		if err := c.Add(e, repo.RootBytes()); err == nil {
			t.Errorf("taken: %+v", e)
		}
	}
	repo.Unsign("root", 1)
	refused(t, c.Add(trust.Entry{Name: "a", Source: "reg.example/a:tuf"}, repo.Data("root")), trust.ErrThreshold)
	refused(t, c.Add(trust.Entry{Name: "a", Source: "reg.example/a:tuf"}, []byte("{}")), trust.ErrMalformed)
	if len(c.List()) != 0 {
		t.Errorf("list %v", c.List())
	}
}

func TestConfigFileIsReadStrictly(t *testing.T) {
	t.Parallel()
	root := "sha256:" + strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"empty":            "",
		"no version":       "trusts: {}",
		"a later version":  "version: 2\n",
		"an older version": "version: 0\n",
		"unknown member":   "version: 1\nfuture: true\n",
		"unknown in entry": "version: 1\ntrusts: {a: {source: reg.example/a, root: '" + root + "', scopes: [x]}}\n",
		"a member twice":   "version: 1\nversion: 1\n",
		"no root":          "version: 1\ntrusts: {a: {source: reg.example/a}}\n",
		"a short root":     "version: 1\ntrusts: {a: {source: reg.example/a, root: 'sha256:ab'}}\n",
		"no source at all": "version: 1\ntrusts: {a: {root: '" + root + "', fallback: none}}\n",
		"a bad fallback":   "version: 1\ntrusts: {a: {source: reg.example/a, root: '" + root + "', fallback: all}}\n",
		"a bad name":       "version: 1\ntrusts: {A: {source: reg.example/a, root: '" + root + "'}}\n",
		"a bad period":     "version: 1\ntrusts: {a: {source: reg.example/a, root: '" + root + "', maxStale: soon}}\n",
		"two documents":    "version: 1\n---\nversion: 1\n",
		"no YAML":          "{",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "trust.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := trust.OpenConfig(dir); !errors.Is(err, trust.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with a file stands in it: the line, and no type of this program.
func TestConfigErrorsSayTheLine(t *testing.T) {
	t.Parallel()
	head := "version: 1\ntrusts:\n  a:\n    source: reg.example/a\n"
	for text, want := range map[string]string{
		"":                                   "it is empty",
		head + "    limit: {visits: 3}\n":    `line 5: field "limit" is not known`,
		head + "    limits: 3\n":             `line 5: want names with values, got "3"`,
		head + "    limits: {visits: [1]}\n": "line 5: want text, got a list",
		"trust\n":                            `line 1: want names with values, got "trust"`,
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "trust.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := trust.OpenConfig(dir)
		if !errors.Is(err, trust.ErrConfig) || !strings.HasSuffix(err.Error(), file+": "+want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestConfigRootIsCheckedWhenRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := openConfig(t, dir)
	repo, other := tuftest.NewRepo(t, tuftest.RepoOptions{}), tuftest.NewRepo(t, tuftest.RepoOptions{})
	if err := c.Add(trust.Entry{Name: "a", Source: "reg.example/a:tuf"}, repo.RootBytes()); err != nil {
		t.Fatal(err)
	}
	e, _ := c.Get("a")
	file := filepath.Join(dir, "roots", e.RootSHA256+".json")
	for _, data := range [][]byte{other.RootBytes(), nil} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := c.RootBytes(e)
		refused(t, err, trust.ErrWrongRoot)
	}
	os.Remove(file)
	_, err := c.RootBytes(e)
	refused(t, err, trust.ErrWrongRoot)
	// Adding it again puts the file back.
	if err := c.Add(e, repo.RootBytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RootBytes(e); err != nil {
		t.Error(err)
	}
}

func TestConfigManyWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	var group sync.WaitGroup
	for i := range 8 {
		c := openConfig(t, dir)
		group.Go(func() {
			if err := c.Add(trust.Entry{Name: fmt.Sprint("t", i), Source: "reg.example/a:tuf"}, root); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := openConfig(t, dir).List(); len(got) != 8 {
		t.Errorf("%d trusts, want 8", len(got))
	}
}

func TestConfigKilledBetweenWrites(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	for n := 0; ; n++ {
		dir := t.TempDir()
		c := openConfig(t, dir)
		if err := c.Add(trust.Entry{Name: "a", Source: "reg.example/a:tuf"}, repo.RootBytes()); err != nil {
			t.Fatal(err)
		}
		steps := 0
		c.OnConfigStep(func(string, string) error {
			if steps++; steps > n {
				return errCrash
			}
			return nil
		})
		other := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
		failed := c.Add(trust.Entry{Name: "b", Source: "reg.example/b:tuf"}, other)
		again := openConfig(t, dir)
		for _, e := range again.List() {
			if _, err := again.RootBytes(e); err != nil {
				t.Errorf("step %d: %v", n, err)
			}
		}
		if _, err := again.Get("a"); err != nil {
			t.Errorf("step %d: %v", n, err)
		}
		if failed == nil {
			break
		}
	}
}

// Of a file of a later version it is said that it is one, not which member is not known.
func TestConfigOfALaterVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trust.yaml"), []byte("version: 2\nfuture: [x]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := trust.OpenConfig(dir)
	if !errors.Is(err, trust.ErrStateFormat) || !errors.Is(err, trust.ErrConfig) || !strings.Contains(err.Error(), "one that reads format 2") {
		t.Errorf("error %v", err)
	}
}
