package trust_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// imageEntry is a trust with all that can be said of images.
func imageEntry(t testing.TB) trust.Entry {
	t.Helper()
	return trust.Entry{
		Name: "acme", Source: "registry.acme.io/trust/tuf:tuf",
		Scopes:  []trust.Scope{scope(t, "registry.acme.io/**"), scope(t, "docker.io/nginx")},
		Maps:    mapsOf(t, "reg.local:5000=registry.acme.io", "reg.local:5000/hub=docker.io"),
		Require: []string{trust.RequireMapping, trust.RequireSignature}, MinLevel: "audit", Also: true,
	}
}

func TestConfigKeepsWhatIsSaidOfImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	entry := imageEntry(t)
	if err := openConfig(t, dir).Add(entry, root); err != nil {
		t.Fatal(err)
	}
	entry.RootSHA256 = tuftest.Digest(root)[7:]
	if got, err := openConfig(t, dir).Get("acme"); err != nil || !reflect.DeepEqual(got, entry) {
		t.Errorf("%+v, %v, want %+v", got, err, entry)
	}
	data, _ := os.ReadFile(filepath.Join(dir, "trust.yaml"))
	for _, want := range []string{"version: 1\n", "- registry.acme.io/**\n", "- docker.io/library/nginx\n", "- reg.local:5000=registry.acme.io\n", "- mapping\n", "minLevel: audit\n", "also: true\n"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("trust.yaml has no %q:\n%s", want, data)
		}
	}
	// A trust that says nothing of images is written as ever.
	if err := openConfig(t, dir).Add(trust.Entry{Name: "acme", Source: entry.Source}, nil); err != nil {
		t.Fatal(err)
	}
	want := "version: 1\ntrusts:\n  acme:\n    source: " + entry.Source + "\n    root: sha256:" + entry.RootSHA256 + "\n"
	if data, _ := os.ReadFile(filepath.Join(dir, "trust.yaml")); string(data) != want {
		t.Errorf("trust.yaml:\n%s", data)
	}
}

func TestConfigRefusesWhatIsWrongOfImages(t *testing.T) {
	t.Parallel()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	c := openConfig(t, t.TempDir())
	for name, tt := range map[string]struct {
		edit func(*trust.Entry)
		want error
	}{
		"an empty scope":         {func(e *trust.Entry) { e.Scopes = []trust.Scope{{}} }, trust.ErrInvalidScope},
		"a scope twice":          {func(e *trust.Entry) { e.Scopes = append(e.Scopes, e.Scopes[0]) }, trust.ErrInvalidScope},
		"an empty map":           {func(e *trust.Entry) { e.Maps = []trust.Map{{}} }, trust.ErrInvalidScope},
		"a map not in its form":  {func(e *trust.Entry) { e.Maps = []trust.Map{{"REG.local", "acme.io"}} }, trust.ErrInvalidScope},
		"a map to two originals": {func(e *trust.Entry) { e.Maps = append(e.Maps, trust.Map{"reg.local:5000", "x.io"}) }, trust.ErrInvalidScope},
		"an unknown requirement": {func(e *trust.Entry) { e.Require = []string{"sbom"} }, trust.ErrInvalidEntry},
		"an empty requirement":   {func(e *trust.Entry) { e.Require = []string{""} }, trust.ErrInvalidEntry},
		"a requirement twice":    {func(e *trust.Entry) { e.Require = []string{"mapping", "mapping"} }, trust.ErrInvalidEntry},
		"requirements unsorted":  {func(e *trust.Entry) { e.Require = []string{"signature", "mapping"} }, trust.ErrInvalidEntry},
		"level skip":             {func(e *trust.Entry) { e.MinLevel = "skip" }, trust.ErrInvalidEntry},
		"an unknown level":       {func(e *trust.Entry) { e.MinLevel = "Strict" }, trust.ErrInvalidEntry},
	} {
		e := imageEntry(t)
		tt.edit(&e)
		if err := c.Add(e, root); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(c.List()) != 0 {
		t.Errorf("list %v", c.List())
	}
}

func TestConfigReadsImagesStrictly(t *testing.T) {
	t.Parallel()
	head := "version: 1\ntrusts: {a: {source: reg.example/a, root: 'sha256:" + strings.Repeat("ab", 32) + "', "
	for text, ok := range map[string]bool{
		"scopes: [reg.example/a], maps: [b.io=c.io], require: [mapping], minLevel: permissive, also: true": true,
		"scopes: [reg.example]":                  false,
		"scopes: [reg.example/a, REG.example/a]": false,
		"scopes: reg.example/a":                  false,
		"maps: [b.io]":                           false,
		"maps: [b.io=c.io, b.io=d.io]":           false,
		"require: [x]":                           false,
		"minLevel: none":                         false,
		"also: perhaps":                          false,
		"scope: [reg.example/a]":                 false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "trust.yaml"), []byte(head+text+"}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := trust.OpenConfig(dir); (err == nil) != ok || err != nil && !errors.Is(err, trust.ErrConfig) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestConfigScopeOfAnotherTrust(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	c := openConfig(t, dir)
	entry := func(name string, also bool, scopes ...string) trust.Entry {
		e := trust.Entry{Name: name, Source: "reg.example/a:tuf", Also: also}
		for _, s := range scopes {
			e.Scopes = append(e.Scopes, scope(t, s))
		}
		return e
	}
	add := func(want error, e trust.Entry) {
		t.Helper()
		err := c.Add(e, root)
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", e.Name, err, want)
		}
		if want != nil && !strings.Contains(err.Error(), `"acme"`) {
			t.Errorf("the other trust is not named: %v", err)
		}
	}
	add(nil, entry("acme", false, "registry.acme.io/**"))
	add(trust.ErrScopeTaken, entry("beta", false, "reg.example/b", "Registry.Acme.io/**"))
	add(nil, entry("beta", false, "reg.example/b", "registry.acme.io/shop/**"))
	add(nil, entry("beta", true, "reg.example/b", "registry.acme.io/**"))
	// What they share stays shared when either is written again.
	add(nil, entry("acme", false, "registry.acme.io/**", "reg.example/c"))
	add(trust.ErrScopeTaken, entry("beta", false, "reg.example/b", "registry.acme.io/**"))
	// The permission of one is none for others.
	add(trust.ErrScopeTaken, entry("gamma", false, "registry.acme.io/**"))
	add(trust.ErrScopeTaken, entry("beta", false, "reg.example/c"))

	add(nil, entry("open", true, "reg.example/open"))
	if err := c.Add(entry("gamma", false, "reg.example/open"), root); !errors.Is(err, trust.ErrScopeTaken) {
		t.Errorf("the other's permission: %v", err)
	}

	// Of many that want it at the same time, one gets it.
	var group sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for _, name := range []string{"d-1", "d-2", "d-3", "d-4"} {
		c := openConfig(t, dir)
		group.Go(func() {
			err := c.Add(entry(name, false, "reg.example/wanted"), root)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			} else if !errors.Is(err, trust.ErrScopeTaken) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got != 1 {
		t.Errorf("%d trusts have the scope", got)
	}
}
