package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/keys"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/trust"
)

// What is wrong is told in words of the command line, with what to do.
func TestMessagesOfWrongCommandLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) (code int, stderr string) {
		var out, errs bytes.Buffer
		code = Run(t.Context(), append([]string{"-C", dir}, args...), World{
			Stdout: &out, Stderr: &errs, LookupEnv: lookupIn(map[string]string{"TUFOCI_PASSPHRASE": "x"}),
		})
		return code, errs.String()
	}
	for _, args := range [][]string{{"init", "registry.example/trust/tuf"}, {"key", "generate", "rel"}, {"role", "set", "targets,snapshot", "--add-key", "rel"}} {
		if code, stderr := run(args...); code != exitOK {
			t.Fatalf("%v: exit %d\n%s", args, code, stderr)
		}
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("some text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args      string
		code      int
		want, not string
	}{
		{"sign targets", exitUsage, "Cause: a person has to answer", "not complete"},
		{"payload nobody -o " + filepath.Join(dir, "payload"), exitUsage, "Next:  `tufoci status`", "--help"},
		{"ceremony start nobody -m why -o " + filepath.Join(dir, "ceremony"), exitUsage, "Next:  `tufoci status`", "--help"},
		{"rollback --to abc", exitUsage, `invalid argument "abc" for "--to" flag: want a whole number`, "strconv"},
		{"publish --keep many", exitUsage, `invalid argument "many" for "--keep" flag: want a whole number`, "strconv"},
		{"key rm rel", exitRefused, `"rel" may sign targets, snapshot`, "["},
		{"sign-payload " + text + " --key file:" + filepath.Join(dir, ".tufoci/keys/rel.pem"), exitMalformed, "not the canonical form of TUF metadata: invalid", "workspace is damaged"},
	} {
		code, stderr := run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, c.not) || strings.Count(stderr, "\nNext:  ") != 1 {
			t.Errorf("%s: exit %d, want %d, %q and not %q\n%s", c.args, code, c.code, c.want, c.not, stderr)
		}
	}
	for _, name := range []string{"payload", "ceremony"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// A PIN that is wrong is told as that also where other keys are broken too, and what the
// file system refuses has a way out.
func TestMessagesOfKeysAndFiles(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	a.subject = subject{command: "tufoci key generate", source: "reg/x"}
	if r := a.report(&brokenKeysError{first: &keys.PINError{}}); r.ExitCode != exitKey || !strings.Contains(r.Cause, "tokens lock") {
		t.Errorf("%+v", r)
	}
	undelegated := fmt.Errorf("%w: %w", metadata.ErrProposal, metadata.ErrNoRole)
	if r := a.report(undelegated); r.ExitCode != exitRefused || !strings.Contains(r.Next, "who signs that one: `tufoci publish`") {
		t.Errorf("%+v", r)
	}
	if r := a.report(trust.ErrExpired); !strings.Contains(r.Next, "`tufoci refresh reg/x --key FILE`") {
		t.Errorf("%+v", r)
	}
	if lost := (historyBundle{}).lost(); lost != ", and nothing of it is lost" {
		t.Errorf("%q", lost)
	}
	for _, err := range []error{fs.ErrExist, fs.ErrPermission} {
		if r := a.report(err); !strings.Contains(r.Next, "`tufoci key generate --help`") {
			t.Errorf("%v: %+v", err, r)
		}
	}
}
