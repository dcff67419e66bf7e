package ceremony

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// Lock keeps other processes of this machine from changing the ceremony file at the same time: ErrLocked if one does. The
// lock is a file below a directory of state, named after the path of the ceremony. It ends with the process.
func Lock(file, stateDir string) (unlock func() error, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(stateDir, "ceremony")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(path))
	lock := ownfile.Lock(filepath.Join(dir, hex.EncodeToString(sum[:])+".lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrLocked, file)
	}
	return lock.Close, nil
}
