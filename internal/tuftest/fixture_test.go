package tuftest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindFixtureWalksUp(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	want := filepath.Join(top, "shared", "fixtures", "world")
	deep := filepath.Join(top, "project", "internal", "pkg")
	for _, dir := range []string{want, deep} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := findFixture(deep, "world"); !ok || got != want {
		t.Errorf("findFixture = %q, %v; want %q", got, ok, want)
	}
	if got, ok := findFixture(deep, "absent"); ok {
		t.Errorf("found %q, which does not exist", got)
	}
}
