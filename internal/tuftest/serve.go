package tuftest

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Serve answers with the files under their titles, as a web server that holds
// a classic TUF repository does; anything else is 404. Role names that need
// it are escaped in titles and are found by their escaped path.
func Serve(files map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[strings.TrimPrefix(r.URL.EscapedPath(), "/")]
		if !ok {
			data, ok = files[strings.TrimPrefix(r.URL.Path, "/")]
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(data)
	})
}

// WriteFiles writes files under their titles below dir: a classic TUF
// repository on disk.
func WriteFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for title, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(title))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ReadFiles reads what WriteFiles wrote: every regular file below dir's
// metadata and targets directories (either may be missing) by its title.
func ReadFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, part := range []string{"metadata", "targets"} {
		top := filepath.Join(dir, part)
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == top {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			title, err := filepath.Rel(dir, path)
			files[filepath.ToSlash(title)] = data
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
