package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// councilAt is a person who has started a ceremony for the first root, in a workspace whose key is in a variable.
func councilAt(t *testing.T, dir string) (env map[string]string, file string) {
	t.Helper()
	private, _, err := newPEM()
	if err != nil {
		t.Fatal(err)
	}
	env = map[string]string{"KEY": string(private)}
	file = filepath.Join(dir, "root.tufc")
	line := []string{"init", "registry.invalid/acme/trust", "--profile", "dev", "-y"}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		line = append(line, "--key", role+"=env:KEY")
	}
	for _, args := range [][]string{line, {"ceremony", "start", "root", "-m", "why", "-o", file}} {
		if code, _, stderr := person(dir, env, "", args...); code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
	}
	return env, file
}

// A signer is shown what is to be signed and asked; a no signs nothing, a yes just that.
func TestCeremonySignAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env, file := councilAt(t, dir)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sig := filepath.Join(dir, "a.sig")
	code, _, stderr := person(dir, env, "n\n", "ceremony", "sign", file, "--key", "env:KEY", "-o", sig)
	if code != exitOther || !strings.Contains(stderr, "Read the txid aloud: ") || !strings.Contains(stderr, "sign this? [y/N]") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	payload := filepath.Join(dir, "root.bin")
	if code, _, stderr := person(dir, env, "", "payload", "root", "-o", payload); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, _, stderr = person(dir, env, "n\n", "sign-payload", payload, "--key", "env:KEY", "-o", sig)
	if code != exitOther || !strings.Contains(stderr, "root v1") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, err := os.Stat(sig); err == nil {
		t.Error("a no has signed")
	}
	if after, err := os.ReadFile(file); err != nil || string(before) != string(after) {
		t.Errorf("a no has changed the file: %v", err)
	}
	if code, _, stderr := person(dir, env, "y\n", "ceremony", "sign", file, "--key", "env:KEY", "-o", sig); code != exitOK {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// All text in a ceremony file is of who wrote it: a terminal does not obey it, and it makes no line of its own.
func TestCeremonyTextIsNotObeyed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env, file := councilAt(t, dir)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const evil = `\u001b[2J\nbase = published ✓` + "\u202e\u009b"
	text := strings.NewReplacer(
		`"message": "why"`, `"message": "`+evil+`"`,
		`"repository": "registry.invalid/acme/trust"`, `"repository": "`+evil+`"`,
		`"channel": "tuf"`, `"channel": "`+evil+`"`,
	).Replace(string(data))
	bad := filepath.Join(dir, "bad.tufc")
	if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"review", bad},
		{"review", bad, "--raw"},
		{"status", bad},
		{"sign", bad, "--key", "env:KEY"},
		{"apply", bad},
		{"add", file, bad},
		{"runbook", bad},
		{"abort", bad},
	} {
		code, stdout, stderr := person(dir, env, "y\n", append([]string{"ceremony"}, args...)...)
		for _, c := range []string{"\x1b", "\u202e", "\u009b", "\nbase = published"} {
			if strings.Contains(stdout+stderr, c) {
				t.Errorf("%v: exit %d: %q in %q", args, code, c, stdout+stderr)
			}
		}
		if args[0] != "abort" && !strings.Contains(stdout+stderr, "[2J") && code == exitOK && args[0] != "add" {
			t.Errorf("%v: the text was not shown", args)
		}
	}
}
