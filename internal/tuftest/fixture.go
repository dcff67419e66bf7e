package tuftest

import (
	"os"
	"path/filepath"
	"testing"
)

// SharedFixture returns the directory of recorded data called name, which is
// kept beside the project, in shared/fixtures of a directory above the test's.
// Without it the test is skipped, and says so.
func SharedFixture(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := findFixture(dir, name); ok {
		return found
	}
	t.Skipf("fixture %q not found beside the project", name)
	return ""
}

// findFixture walks up from dir.
func findFixture(dir, name string) (string, bool) {
	for {
		found := filepath.Join(dir, "shared", "fixtures", name)
		if info, err := os.Stat(found); err == nil && info.IsDir() {
			return found, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}
