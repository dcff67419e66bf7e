package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

// A workspace in which another tufoci works is waited for, as long as --wait says.
func TestPublishWaitsForTheWorkspace(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "ws")
		env := func(name string) (string, bool) { return "long enough", strings.HasPrefix(name, "TUFOCI_PASSPHRASE") }
		if code := Run(t.Context(), []string{"-C", dir, "init", "127.0.0.1:1/acme/trust", "--profile", "standard"}, World{Stdout: io.Discard, Stderr: io.Discard, LookupEnv: env}); code != exitOK {
			t.Fatalf("init: exit %d", code)
		}
		other, err := metadata.Open(dir, metadata.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var waited time.Duration
		code := Run(t.Context(), []string{"-C", dir, "publish", "--wait", "1m", "--no-tty"}, World{Stdout: io.Discard, Stderr: io.Discard, LookupEnv: env, Sleep: func(_ context.Context, d time.Duration) error {
			waited += d
			if leaves {
				return other.Close()
			}
			return nil
		}})
		if (code == exitLocked) == leaves || waited == 0 || waited > time.Minute || !leaves && waited != time.Minute {
			t.Errorf("the other leaves: %v: exit %d after %s", leaves, code, waited)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}
