package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	t.Parallel()
	env := environment{lookup: func(string) (string, bool) { return "set", true }}
	for _, name := range []string{"TUFOCI_ROOT", "TUFOCI_YES", "TUFOCI_AS_OF", "TUFOCI_MAX_STALE", "TUFOCI_ALLOW_EXPIRED", "PATH", "CLOCK", "SOURCE"} {
		if env.get(name) != "" {
			t.Errorf("%s is read", name)
		}
	}
	for _, name := range []string{"TUFOCI_FORMAT", "TUFOCI_PASSPHRASE", "TUFOCI_PASSPHRASE_ROOT_A", "DOCKER_CONFIG", "CI"} {
		if env.get(name) != "set" {
			t.Errorf("%s is not read", name)
		}
	}
}

// The process's environment comes in at one place only.
func TestOnlySystemReadsTheProcessEnvironment(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if ok && pkg.Name == "os" && file != "run.go" {
				switch sel.Sel.Name {
				case "Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserConfigDir", "UserCacheDir":
					t.Errorf("%s: os.%s", file, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestPassphraseVariable(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"root-a": "TUFOCI_PASSPHRASE_ROOT_A", "v1.key": "TUFOCI_PASSPHRASE_V1_KEY"} {
		if got := passphraseVariable(key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
}

func TestBaseDirectories(t *testing.T) {
	t.Parallel()
	abs := filepath.Join(t.TempDir(), "x")
	for want, env := range map[string]map[string]string{
		filepath.Join(abs, "tufoci"):            {"XDG_CONFIG_HOME": abs, "HOME": "/h"},
		filepath.Join(abs, ".config", "tufoci"): {"XDG_CONFIG_HOME": "relative", "HOME": abs},
		"":                                      {},
	} {
		if got := (environment{lookup: lookupIn(env)}).base(envConfigHome, ".config"); got != want {
			t.Errorf("%v: %q", env, got)
		}
	}
}

// An unset variable and os.DevNull as standard input: the zero World works.
func TestZeroWorld(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if code := Run(t.Context(), []string{"version"}, World{Stdout: null, Stderr: null}); code != exitOK {
		t.Errorf("exit %d", code)
	}
}
