package e2e

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tufoci/tufoci"

// layers says which of our packages each package may import. A package that is
// missing here fails the test.
var layers = map[string][]string{
	"internal/pause":      {},
	"internal/period":     {},
	"internal/durable":    {},
	"internal/strictyaml": {},
	"internal/ownfile":    {},
	"internal/stranger":   {},
	"metadata":            {"internal/ownfile", "internal/period", "internal/strictyaml", "internal/durable"},
	"keys/token":          {},
	"keys":                {"metadata", "keys/token"},
	"ceremony":            {"metadata", "internal/ownfile"},
	"ociremote":           {"internal/ownfile", "internal/pause", "internal/durable"},
	"fetcher":             {"ociremote", "internal/ownfile", "internal/period"},
	"material":            {},
	"dct":                 {},
	"trust":               {"fetcher", "ociremote", "material", "internal/ownfile", "internal/pause", "internal/period", "internal/strictyaml", "internal/stranger", "internal/durable"},
	"publish":             {"metadata", "ociremote", "trust", "material", "internal/pause", "internal/stranger"},
	"verify":              {"trust", "ociremote", "material", "internal/stranger"},
	"verify/notationdir":  {"trust", "material", "verify", "internal/ownfile", "internal/durable"},
	"mirror":              {"publish", "trust", "fetcher", "ociremote", "material", "verify", "internal/ownfile", "internal/pause", "internal/period", "internal/strictyaml", "internal/durable"},
	"serve":               {"trust", "fetcher", "ociremote", "internal/pause"},
	"doctor":              {"metadata", "ociremote", "publish", "trust"},
	"upkeep":              {"metadata", "internal/pause", "internal/stranger"},
	"cmd/tufoci/cli": {
		"metadata", "keys", "keys/token", "ceremony", "dct", "ociremote", "fetcher", "trust", "publish", "upkeep", "doctor",
		"material", "verify", "verify/notationdir", "mirror", "serve", "internal/notationsign", "internal/pause", "internal/period", "internal/stranger", "internal/durable",
	},
	"cmd/sigstore-kms-pkcs11": {"keys/token"},
	"internal/kmstest":        {"keys/token"},
	"internal/notationsign":   {},
	"cmd/tufoci":              {"cmd/tufoci/cli"},
	"internal/tuftest":        {},
	"internal/conformance":    {"fetcher", "ociremote", "trust"},
	"e2e/bench":               {"ociremote", "trust"},
	"e2e": {
		"metadata", "ociremote", "trust", "publish", "material", "verify/notationdir", "doctor", "upkeep",
		"cmd/tufoci/cli", "internal/tuftest", "internal/notationsign", "internal/period",
	},
}

// homes says where an import from outside may be used in code that ships. One
// that is missing here fails the test: a dependency has a reason and a place.
var homes = map[string][]string{
	"github.com/theupdateframework/go-tuf/v2":           {"metadata", "keys", "fetcher", "trust"},
	"oras.land/oras-go/v2":                              {"ociremote", "publish", "internal/notationsign", "cmd/tufoci/cli", "mirror"},
	"github.com/notaryproject/notation-go":              {"verify", "verify/notationdir", "material", "internal/notationsign"},
	"github.com/notaryproject/notation-core-go":         {"verify", "internal/notationsign"},
	"github.com/notaryproject/tspclient-go":             {"verify", "internal/notationsign", "internal/tuftest"},
	"github.com/veraison/go-cose":                       {"verify"},
	"github.com/digitorus/timestamp":                    {"internal/tuftest"},
	"github.com/opencontainers/image-spec":              {"ociremote", "fetcher", "publish", "verify", "internal/notationsign", "cmd/tufoci/cli", "mirror", "doctor"},
	"github.com/opencontainers/go-digest":               {"ociremote", "fetcher", "trust", "publish", "verify", "internal/notationsign", "cmd/tufoci/cli", "mirror", "doctor"},
	"github.com/secure-systems-lab/go-securesystemslib": {"metadata", "dct", "keys", "internal/tuftest"},
	"github.com/sigstore/sigstore":                      {"keys", "cmd/sigstore-kms-pkcs11", "internal/kmstest"},
	"github.com/miekg/pkcs11":                           {"cmd/sigstore-kms-pkcs11"},
	"golang.org/x/crypto":                               {"keys"},
	"github.com/youmark/pkcs8":                          {"metadata"},
	"github.com/gofrs/flock":                            {"internal/ownfile", "metadata", "trust"},
	"go.yaml.in/yaml/v3":                                {"internal/strictyaml", "metadata", "trust", "mirror"},
	"golang.org/x/sync":                                 {"publish", "cmd/tufoci/cli", "mirror"},
	"golang.org/x/term":                                 {"cmd/tufoci/cli"},
	"github.com/spf13/cobra":                            {"cmd/tufoci/cli"},
	"github.com/spf13/pflag":                            {"cmd/tufoci/cli"},
	"github.com/schollz/progressbar/v3":                 {"cmd/tufoci/cli"},
	"github.com/prometheus/client_golang":               {"upkeep", "cmd/tufoci/cli"},
	"github.com/olareg/olareg":                          {"internal/tuftest", "internal/conformance"},
	"go.uber.org/goleak":                                {"internal/tuftest"},
	"github.com/google/go-containerregistry":            {"cmd/tufoci/cli"}, // the registry of the demo
}

// testOnly are imports from outside that tests may add anywhere.
var testOnly = []string{
	"github.com/rogpeppe/go-internal",
	"github.com/theupdateframework/go-tuf/v2",
	"github.com/notaryproject",
	"github.com/digitorus/timestamp",
	"github.com/secure-systems-lab/go-securesystemslib",
	"github.com/youmark/pkcs8",
	"github.com/olareg/olareg",
	"github.com/opencontainers/image-spec",
	"github.com/opencontainers/go-digest",
	"github.com/sigstore/sigstore",
	"golang.org/x/sync",
	"github.com/spf13/cobra",
	"go.yaml.in/yaml/v3",
	"oras.land/oras-go/v2",
}

// closed are standard packages that a package must do without.
var closed = map[string][]string{
	"metadata": {"net", "net/http"},
}

// TestImports holds the code to the tables above, by reading it: nothing is
// built or run, so that the test cache sees every file.
func TestImports(t *testing.T) {
	seen, used := map[string]bool{}, map[string]bool{}
	for _, file := range goFiles(t, "..") {
		dir := path.Dir(file)
		seen[dir] = true
		allowed, ok := layers[dir]
		if !ok {
			t.Errorf("package %s is not in the import table", dir)
			continue
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, imported := range imports(t, filepath.Join("..", filepath.FromSlash(file))) {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				used[dir+" "+ours] = true
			}
			for root := range homes {
				if isBelow(imported, root) && !(test && allowedInTests(imported)) {
					used[root+" "+dir] = true
				}
			}
			if reason := forbidden(dir, imported, allowed, test); reason != "" {
				t.Errorf("%s imports %s: %s", file, imported, reason)
			}
		}
	}
	for dir := range layers {
		if !seen[dir] {
			t.Errorf("package %s of the import table does not exist", dir)
		}
	}
	// A table that allows more than there is hides the next import.
	for _, table := range []map[string][]string{layers, homes} {
		for from, list := range table {
			for _, to := range list {
				if !used[from+" "+to] {
					t.Errorf("the import table allows %s %s, which nothing needs", from, to)
				}
			}
		}
	}
}

func isBelow(imported, root string) bool {
	return imported == root || strings.HasPrefix(imported, root+"/")
}

func allowedInTests(imported string) bool {
	return slices.ContainsFunc(testOnly, func(root string) bool { return isBelow(imported, root) })
}

// forbidden says why a file in dir may not import a package, or nothing.
func forbidden(dir, imported string, allowed []string, test bool) string {
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		if slices.Contains(allowed, ours) || test && (ours == dir || ours == "internal/tuftest" || ours == "internal/notationsign" || ours == "internal/kmstest") {
			return ""
		}
		return "not below it in the import table"
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		if !test && slices.Contains(closed[dir], imported) {
			return "closed to it"
		}
		return ""
	}
	if test && allowedInTests(imported) {
		return ""
	}
	for root, places := range homes {
		if isBelow(imported, root) {
			if slices.Contains(places, dir) {
				return ""
			}
			return "has no home there"
		}
	}
	return "a dependency without a home in the table"
}

// TestImportTableRefuses shows that the tables refuse what they are for.
func TestImportTableRefuses(t *testing.T) {
	const tuf = "github.com/theupdateframework/go-tuf/v2/metadata"
	for _, tt := range []struct {
		dir, imported string
		test, refused bool
	}{
		{"fetcher", module + "/ociremote", false, false},
		{"ociremote", module + "/fetcher", false, true},
		{"ociremote", module + "/fetcher", true, true},
		{"trust", module + "/internal/tuftest", false, true},
		{"trust", module + "/internal/tuftest", true, false},
		{"ociremote", tuf, false, true},
		{"ociremote", "github.com/theupdateframework/go-tuf/v2-fork", false, true},
		{"trust", tuf, false, false},
		{"metadata", "net/http", false, true},
		{"metadata", "net/http", true, false},
		{"trust", "github.com/spf13/cobra", false, true},
		{"trust", "example.com/new/dependency", false, true},
	} {
		if got := forbidden(tt.dir, tt.imported, layers[tt.dir], tt.test) != ""; got != tt.refused {
			t.Errorf("%s importing %s (test %v): refused %v, want %v", tt.dir, tt.imported, tt.test, got, tt.refused)
		}
	}
}

// goFiles lists the module's Go files below root, slash-separated, without
// those of nested modules and test data.
func goFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			if strings.HasSuffix(name, ".go") {
				files = append(files, name)
			}
			return nil
		}
		base := entry.Name()
		if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" || name == "bin") {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name), "go.mod")); err == nil && name != "." {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, imported)
	}
	return paths
}
