package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// ErrLocked says that another process is at the mirrors of the same file.
var ErrLocked = errors.New("another sync of this configuration is at work")

// Lock keeps a second schedule from the mirrors of this file: ErrLocked if there is
// one. The lock is a file below a directory of state, named after the path of the
// configuration, which may lie where nothing can be written. It ends with the process.
func (c *Config) Lock(stateDir string) (unlock func() error, err error) {
	dir := filepath.Join(stateDir, "mirror")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(c.File))
	lock := ownfile.Lock(filepath.Join(dir, hex.EncodeToString(sum[:])+".lock"))
	ok, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%w: %s (%s)", ErrLocked, c.File, lock.Path())
	}
	return lock.Close, nil
}
