package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

func TestMain(m *testing.M) { os.Exit(tuftest.InMemory(m.Run)) }

// buildProgram builds the program that the scripts run. It is not this test
// binary, since that has the test registry in it, which takes longer to start
// than most commands take to run. All code of the program is also in this
// binary, so that a cached result of this test is never that of other code.
func buildProgram(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./testdata/tufoci")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func TestScripts(t *testing.T) {
	t.Parallel()
	if tuftest.RaceDetector {
		t.Skip("the stories run a program that the race detector does not see; make test runs them without it")
	}
	program := buildProgram(t)
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := &story{program: program, plain: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), t: t, signers: map[string]*notationsign.Identity{}, servers: map[string]*server{}}
			s.basic = tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "user", Password: "secret"})
			testscript.Run(t, testscript.Params{Files: []string{file}, Setup: s.setUp, Cmds: s.commands()})
		})
	}
}

// story is what one script plays with: a registry that is open, and one that
// wants the user "user" with the password "secret".
type story struct {
	t            *testing.T
	program      string // directory of the program
	plain, basic *tuftest.Registry
	signers      map[string]*notationsign.Identity
	pki          *pki
	servers      map[string]*server
}

func (s *story) setUp(env *testscript.Env) error {
	env.Setenv("PATH", s.program+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("REGISTRY", s.plain.Host())
	env.Setenv("R", s.plain.Host()+"/acme/trust")
	env.Setenv("BASIC", s.basic.Host())
	files := httptest.NewServer(http.FileServer(http.Dir(env.WorkDir)))
	env.Defer(files.Close)
	env.Setenv("FILES", files.URL)
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, "docker"))
	env.Setenv("TUFOCI_PASSPHRASE", "correct horse battery staple")
	if err := os.MkdirAll(filepath.Join(env.WorkDir, "home"), 0o700); err != nil {
		return err
	}
	return setKeys(env)
}

func (s *story) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"tufoci":    cmdTufoci,
		"exits":     cmdExits,
		"json":      cmdJSON,
		"retag":     s.cmdRetag,
		"untag":     s.cmdUntag,
		"forge":     s.cmdForge,
		"image":     s.cmdImage,
		"notary":    s.cmdNotary,
		"index":     s.cmdIndex,
		"artifact":  s.cmdArtifact,
		"digest":    s.cmdDigest,
		"list":      cmdList,
		"damage":    cmdDamage,
		"append":    cmdAppend,
		"notation":  s.cmdNotation,
		"lose":      s.cmdLose,
		"tufrepo":   s.cmdTufRepo,
		"workspace": s.cmdWorkspace,
		"lock":      s.cmdLock,
		"locksync":  s.cmdLockSync,
		"copydir":   s.cmdCopyDir,
		"pki":       s.cmdPKI,
		"nextto":    s.cmdNextTo,
		"outage":    s.cmdOutage,
		"pull":      s.cmdPull,
		"serve":     s.cmdServe,
		"stop":      s.cmdStop,
		"fetch":     cmdFetch,
	}
}

// cmdTufoci runs the program, which has to succeed.
func cmdTufoci(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use exits, which names the code")
	}
	ts.Check(ts.Exec("tufoci", args...))
}

// cmdExits is "exits CODE COMMAND...": the command ends with that code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// cmdJSON is "json PATH VALUE": standard output is one JSON document that has
// this value under a.b.0.c. Without a value: that has the member.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	var doc any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		ts.Fatalf("standard output is no JSON: %v", err)
	}
	if dec.More() {
		ts.Fatalf("more than one JSON document on standard output")
	}
	value, ok := at(doc, strings.Split(args[0], "."))
	got := fmt.Sprint(value)
	matches := ok && (len(args) == 1 || got == args[1])
	if matches == neg {
		ts.Fatalf("%s is %q", args[0], got)
	}
}

func at(doc any, path []string) (any, bool) {
	for _, part := range path {
		switch d := doc.(type) {
		case map[string]any:
			next, ok := d[part]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			if part == "len" {
				doc = len(d)
				continue
			}
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(d) {
				return nil, false
			}
			doc = d[i]
		default:
			return nil, false
		}
	}
	return doc, true
}
