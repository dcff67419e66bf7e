//go:build unix

package fetcher

import (
	"errors"
	"syscall"
)

func isNotDir(err error) bool      { return errors.Is(err, syscall.ENOTDIR) }
func isNameTooLong(err error) bool { return errors.Is(err, syscall.ENAMETOOLONG) }
