package durable

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// Sync syncs a directory, after files in it were renamed. Where directories cannot
// be synced (Windows, some network file systems) there is nothing to do, and that
// is no error.
func Sync(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
