//go:build unix

package ownfile

import (
	"errors"
	"syscall"
)

// direct refuses a symbolic link at the end of a path, unwaiting does not wait for
// the other end of a pipe.
const (
	direct    = syscall.O_NOFOLLOW
	unwaiting = syscall.O_NONBLOCK
)

// isLink reports whether an error says that there is a symbolic link which is not
// followed, or followed without an end.
func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }
