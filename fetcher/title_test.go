package fetcher

import (
	"errors"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]struct {
		class fileClass
		root  int64
	}{
		"metadata/1.root.json":                    {classRoot, 1},
		"metadata/9007199254740991.root.json":     {classRoot, 1<<53 - 1},
		"metadata/01.root.json":                   {classTargets, 0}, // no version as TUF writes them: a role "root"
		"metadata/0.root.json":                    {classTargets, 0},
		"metadata/root.json":                      {classTargets, 0},
		"metadata/99999999999999999999.root.json": {classTargets, 0},
		"metadata/timestamp.json":                 {classTimestamp, 0},
		"metadata/1.timestamp.json":               {classTargets, 0},
		"metadata/snapshot.json":                  {classSnapshot, 0},
		"metadata/12.snapshot.json":               {classSnapshot, 0},
		"metadata/targets.json":                   {classTargets, 0},
		"metadata/3.shop%2Fapi.json":              {classTargets, 0},
		"targets/1.root.json":                     {classTargetFile, 0},
		"targets/timestamp.json":                  {classTargetFile, 0},
	} {
		class, root := classify(title)
		if class != want.class || root != want.root {
			t.Errorf("classify(%q) = %v, %d; want %v, %d", title, class, root, want.class, want.root)
		}
	}
}

func TestCheckTitle(t *testing.T) {
	t.Parallel()
	for _, title := range []string{
		"metadata/1.root.json", "metadata/timestamp.json", "metadata/1.a%2Fb.json", "metadata/1...%2Fevil.json",
		"metadata/....json", "targets/a", "targets/dir/b c?#%.txt", "targets//a", "targets/...", "targets/é",
		"targets/" + strings.Repeat("x", maxTitle-8),
	} {
		if err := checkTitle(title); err != nil {
			t.Errorf("%q: %v", title, err)
		}
	}
	for _, title := range []string{
		"", "metadata", "metadata/", "targets/", "root.json", "other/1.root.json", "/metadata/1.root.json",
		"metadata/../1.root.json", "metadata/a/b.json", "metadata/..", "metadata/.",
		"targets/../metadata/1.root.json", "targets/a/..", "targets/./a", "targets/a\x00b", "targets/a\nb", "targets/\x7f",
		"targets/\xff", "targets/" + strings.Repeat("x", maxTitle),
	} {
		if err := checkTitle(title); !errors.Is(err, ErrInvalidName) {
			t.Errorf("%q: %v, want ErrInvalidName", title, err)
		}
	}
}

// Many repositories keep metadata/ and targets/ side by side.
func TestTargetsBesideOrBelowMetadata(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string]string{
		"/": "/targets/", "/tuf/": "/tuf/targets/", "/metadata/": "/targets/", "/tuf/metadata/": "/tuf/targets/",
		"/tufmetadata/": "/tufmetadata/targets/",
	} {
		if got := besideOrBelow(metadata); got != want {
			t.Errorf("%s: %s, want %s", metadata, got, want)
		}
	}
}
