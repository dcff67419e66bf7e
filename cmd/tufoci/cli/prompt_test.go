package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// terminal is an app at a terminal where a person types lines.
func terminal(typed string) (*app, *bytes.Buffer) {
	var stderr bytes.Buffer
	a := newApp(World{Stdin: strings.NewReader(typed), Stderr: &stderr, StdinIsTerminal: true})
	return a, &stderr
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "yep\n": false, "": false} {
		a, stderr := terminal(typed)
		if err := a.confirm(t.Context(), "go on?"); (err == nil) != want {
			t.Errorf("%q: %v", typed, err)
		} else if err != nil && (a.report(err).ExitCode != exitOther || !strings.Contains(err.Error(), "go on?")) {
			t.Errorf("%q: %+v", typed, a.report(err))
		}
		if !strings.Contains(stderr.String(), "go on? [y/N]") {
			t.Errorf("asked %q", stderr.String())
		}
	}
}

func TestNothingIsAskedWithoutTerminal(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]*app{
		"no terminal": newApp(World{Stdin: strings.NewReader("y\n")}),
		"--no-tty":    newApp(World{Stdin: strings.NewReader("y\n"), StdinIsTerminal: true}),
	} {
		a.global.noTTY = name == "--no-tty"
		if err := a.confirm(t.Context(), "go on?"); err == nil || !strings.Contains(err.Error(), "--yes") || a.report(err).ExitCode != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := a.secret(t.Context(), "passphrase", envPassphrase); err == nil || !strings.Contains(err.Error(), envPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestYesAnswersConfirmationsOnly(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	a.global.yes = true
	if err := a.confirm(t.Context(), "go on?"); err != nil {
		t.Error(err)
	}
	if _, err := a.secret(t.Context(), "passphrase", envPassphrase); err == nil {
		t.Error("--yes gave a passphrase")
	}
}

func TestPassphraseSources(t *testing.T) {
	t.Parallel()
	a, _ := terminal("typed\n")
	a.env.lookup = lookupIn(map[string]string{"TUFOCI_PASSPHRASE": "all", "TUFOCI_PASSPHRASE_ROOT_A": "own"})
	for key, want := range map[string]string{"root-a": "own", "other": "all"} {
		if got, err := a.passphrase(t.Context())(key); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	a.env.lookup = lookupIn(nil)
	if got, err := a.passphrase(t.Context())("root-a"); err != nil || string(got) != "typed" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNewPassphraseIsAskedTwice(t *testing.T) {
	t.Parallel()
	a, _ := terminal("one\none\n")
	if got, err := a.newPassphrase(t.Context())("k"); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	a, _ = terminal("one\ntwo\n")
	if got, err := a.newPassphrase(t.Context())("k"); err == nil {
		t.Errorf("took %q", got)
	}
}

// A question ends when the command does, though nobody answers.
func TestQuestionEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := newApp(World{Stdin: blocked{}, Stderr: &bytes.Buffer{}, StdinIsTerminal: true})
	if err := a.confirm(ctx, "go on?"); err == nil {
		t.Error("confirmed")
	}
}

// blocked is a terminal at which nobody sits.
type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }
