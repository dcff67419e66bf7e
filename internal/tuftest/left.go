package tuftest

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// NothingLeft runs a test and fails if goroutines or descriptors of it remain. It
// counts those of the process, so the test that calls it must not be parallel.
func NothingLeft(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	files := openFiles(t)
	ignored := goleak.IgnoreCurrent()
	t.Run("run", test)
	goleak.VerifyNone(t, ignored)
	// What reads an archive is closed with what refers to it.
	for range 500 {
		if runtime.GC(); openFiles(t) <= files {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d files are open, %d before", openFiles(t), files)
}

// openFiles counts the descriptors of this process, 0 on systems that do not say.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
