package trust

import (
	"os"
	"path/filepath"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
)

// blobCache keeps target files by sha256 below a directory that may be deleted at
// any time. The zero value keeps nothing.
type blobCache struct{ dir string }

func (c blobCache) path(sha256 string) string {
	return filepath.Join(c.dir, "sha256", sha256[:2], sha256)
}

// get returns what is kept under a hash, nil if there is nothing. The caller checks
// it: anybody may have written there.
func (c blobCache) get(sha256 string, max int64) []byte {
	if c.dir == "" || len(sha256) != 64 {
		return nil
	}
	data, err := ownfile.Read(c.path(sha256), max)
	if err != nil {
		return nil
	}
	return data
}

// put keeps data and reports whether it could. A cache that cannot be written is no
// error.
func (c blobCache) put(sha256 string, data []byte) bool {
	if c.dir == "" || len(sha256) != 64 {
		return false
	}
	name := c.path(sha256)
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return false
	}
	return durable.Disk{Pattern: tempPrefix}.Write(name, data, 0o600) == nil
}
