package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stubTime is the variable that a stub of the program date prints.
const stubTime = "SUITE_TIME"

// stubDate writes a program date that tells the time of a variable, as the real one does
// under faketime.
func stubDate(t *testing.T, dir string) {
	t.Helper()
	script := "#!/bin/sh\n[ \"$*\" = +%s ] && echo \"$" + stubTime + "\"\n"
	if err := os.WriteFile(filepath.Join(dir, "date"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestTimeOfDate: the time of a refresh is what the program date says.
func TestTimeOfDate(t *testing.T) {
	dir := t.TempDir()
	stubDate(t, dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	s := newSuite(t, "time", false)
	s.start = func(at time.Time, args []string, stderr *bytes.Buffer) int {
		t.Setenv(stubTime, fmt.Sprint(at.Unix()))
		return run(t.Context(), args, &bytes.Buffer{}, stderr)
	}
	s.init()
	s.refreshAfter(29*day, 0)
	s.refreshAfter(31*day, 1)
	asked := len(s.asked())
	s.start = func(_ time.Time, args []string, stderr *bytes.Buffer) int {
		t.Setenv(stubTime, "noon")
		return run(t.Context(), args, &bytes.Buffer{}, stderr)
	}
	s.refresh(1)
	s.wantAsked(asked)
}

// TestExitCodes: whatever is wrong ends with exit code 1, which is not that of a panic.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "given")
	if err := os.WriteFile(root, []byte("no root"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(context.Context) (time.Time, error) { return now, nil }
	for _, tt := range []struct {
		args   string
		now    clock
		code   int
		stderr string
	}{
		{"", at, 1, "no command"},
		{"--metadata-dir DIR update", at, 1, `unknown command "update"`},
		{"--metadata-dir DIR init", at, 1, "init takes 1 arguments, not 0"},
		{"init ROOT", at, 1, "init needs --metadata-dir"},
		{"--metadata-dir DIR init ROOT --metadata-url http://x.invalid/", at, 1, "flags come before the command"},
		{"--metadata-dir DIR refresh", at, 1, "refresh needs --metadata-url"},
		{"--metadata-dir DIR --metadata-url http://x.invalid/ download", at, 1, "download needs --target-"},
		{"--help", at, 0, "via-oci"},
		{"--nonsense refresh", at, 1, "flag provided but not defined"},
		{"--metadata-dir DIR init DIR/none", at, 1, "no such file"},
		{"--metadata-dir DIR --metadata-url http://x.invalid/ refresh", at, 1, "init comes first"},
		{"--metadata-dir DIR init ROOT", at, 0, ""},
		{"--metadata-dir DIR --metadata-url ftp://x.invalid/ refresh", at, 1, "invalid source"},
		{"--metadata-dir DIR --metadata-url http://x.invalid/ refresh", at, 1, "pinned root"},
		{
			"--metadata-dir DIR --metadata-url http://x.invalid/ refresh",
			func(context.Context) (time.Time, error) { return now, errors.New("no time") }, 1, "no time",
		},
		{
			"--metadata-dir DIR --metadata-url http://x.invalid/ refresh",
			func(context.Context) (time.Time, error) { panic("midnight") }, 1, "panic: midnight",
		},
	} {
		args := strings.Fields(strings.NewReplacer("DIR", dir, "ROOT", root).Replace(tt.args))
		var stderr bytes.Buffer
		if code := runAt(t.Context(), args, tt.now, &bytes.Buffer{}, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%s: exit code %d, want %d\n%s", tt.args, code, tt.code, &stderr)
		}
	}
}
