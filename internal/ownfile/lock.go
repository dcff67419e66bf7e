package ownfile

import (
	"os"
	"runtime"

	"github.com/gofrs/flock"
)

// Lock returns the lock that a file stands for, which is made when it is taken. A
// symbolic link in its place is an error, so that nothing is made elsewhere, and so
// is a directory; a pipe is not waited for.
func Lock(path string) *flock.Flock {
	access := os.O_RDONLY
	switch runtime.GOOS {
	case "aix", "solaris", "illumos": // which lock nothing that cannot be written
		access = os.O_RDWR
	}
	return flock.New(path, flock.SetFlag(access|os.O_CREATE|direct|unwaiting))
}
