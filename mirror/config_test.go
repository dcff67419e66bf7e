package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const someMirrors = `version: 1
mirrors:
  - name: acme
    from: acme
    to: reg.local:5000/trust/tuf
    images: ["registry.acme.io/shop/**"]
    imagesTo: reg.local:5000/acme
    referrers: true
    history: 3
    require: [mapping, signature]
    concurrency: 2
  - name: other
    from: https://tuf.example.com/metadata/
    root: roots/other.json
    to: oci-layout:/srv/other
`

func TestConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mirror.yaml")
	if err := os.WriteFile(file, []byte(someMirrors), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []Scheduled{
		{
			Name: "acme", From: "acme", To: ociremote.Reference{Host: "reg.local:5000", Repository: "trust/tuf", Tag: "tuf"},
			Images: []string{"registry.acme.io/shop/**"}, ImagesTo: "reg.local:5000/acme", Referrers: true,
			History: 3, Require: []string{"mapping", "signature"}, Concurrency: 2,
		},
		{
			Name: "other", From: "https://tuf.example.com/metadata/", Root: filepath.Join(filepath.Dir(file), "roots/other.json"),
			To: ociremote.Reference{Kind: ociremote.KindLayout, Path: "/srv/other", Tag: "tuf"},
		},
	}
	if !reflect.DeepEqual(c.Mirrors, want) || c.File != file {
		t.Errorf("got %+v", c)
	}
	if trust.IsSource(c.Mirrors[0].From) || !trust.IsSource(c.Mirrors[1].From) {
		t.Error("a trust is taken for a source, or a source for a trust")
	}
	if _, err := ReadConfig(file + ".none"); !errors.Is(err, ErrConfig) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A mistake is told with its line.
func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, from, to, want string }{
		{"nothing", someMirrors, "", "empty"},
		{"no version", "version: 1\n", "", "version 0"},
		{"a later version", "version: 1", "version: 2", "version 2"},
		{"no mirrors", someMirrors, "version: 1\n", "mirrors: want 1"},
		{"an unknown member", "    referrers:", "    referers:", "line 8: field \"referers\" is not known"},
		{"an unknown member at the top", "mirrors:", "mirors: []\nmirrors:", "line 2: field \"mirors\" is not known"},
		{"a member twice", "    history: 3", "    history: 3\n    history: 4", "already defined"},
		{"two documents", "version: 1\n", "version: 1\nmirrors: []\n---\nversion: 1\n", "more than one document"},
		{"a list that is none", "[\"registry.acme.io/shop/**\"]", "{}", "line 6: want a list"},
		{"a name", "name: acme", "name: Acme", `line 3: name: "Acme"`},
		{"a name twice", "name: other", "name: acme", `line 12: name: "acme" is there twice`},
		{"a place twice", "to: oci-layout:/srv/other", "to: reg.local:5000/trust/tuf:tuf", "line 15: to: reg.local:5000/trust/tuf:tuf is that of acme"},
		{"no source", "    from: acme\n", "", "line 3: from: missing"},
		{"a source", "from: https://tuf.example.com/metadata/", "from: ftp://x/", "line 13: from: "},
		{"a root of a trust", "    from: acme\n", "    from: acme\n    root: x.json\n", "line 4: from: \"acme\" is the name of a trust"},
		{"no destination", "    to: reg.local:5000/trust/tuf\n", "", "line 3: to: "},
		{"a digest", "reg.local:5000/trust/tuf\n", "reg.local:5000/trust/tuf@sha256:" + strings.Repeat("a", 64) + "\n", "line 5: to: a copy goes to a tag"},
		{"an archive", "oci-layout:/srv/other", "oci-archive:x.tar", "line 15: to: an archive is made by mirror save"},
		{"an empty pattern", "[\"registry.acme.io/shop/**\"]", "[\"\"]", "line 6: images: an empty pattern"},
		{"a pattern without a host", "[\"registry.acme.io/shop/**\"]", "[\"shop\"]", "line 6: images: "},
		{"a place for images", "imagesTo: reg.local:5000/acme", "imagesTo: reg", "line 7: imagesTo: "},
		{"a place with a tag", "imagesTo: reg.local:5000/acme", "imagesTo: reg.local:5000/acme:1", "line 7: imagesTo: "},
		{"a place for images of a layout", "to: oci-layout:/srv/other", "to: oci-layout:/srv/other\n    imagesTo: reg.local:5000", "line 16: imagesTo: images of a layout"},
		{"a history", "history: 3", "history: -1", "line 9: history: -1"},
		{"a requirement", "require: [mapping, signature]", "require: [luck]", "line 10: require: \"luck\""},
		{"too many at once", "concurrency: 2", "concurrency: 65", "line 11: concurrency: 65"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(someMirrors, test.from, test.to, 1)
			if text == someMirrors {
				t.Fatal("nothing is edited")
			}
			c, err := parseConfig([]byte(text), "/etc")
			if err == nil || c != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, other := &Config{File: "/etc/mirror.yaml"}, &Config{File: "/etc/other.yaml"}
	unlock, err := c.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Lock(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), c.File) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := other.Lock(dir); err != nil {
		t.Errorf("another configuration: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Lock(dir); err != nil {
		t.Errorf("after its end: %v", err)
	}
}
