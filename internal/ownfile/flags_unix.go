//go:build unix

package ownfile

import "syscall"

// direct refuses a symbolic link at the end of a path, unwaiting does not wait for
// the other end of a pipe.
const (
	direct    = syscall.O_NOFOLLOW
	unwaiting = syscall.O_NONBLOCK
)
