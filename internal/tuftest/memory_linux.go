package tuftest

import (
	"os"
	"syscall"
)

// inMemory is a new directory in memory, if there is plenty of it; else "".
func inMemory() string {
	const plenty = 4 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &fs) != nil || fs.Bavail*uint64(fs.Bsize) < plenty {
		return ""
	}
	dir, err := os.MkdirTemp("/dev/shm", "tufoci-test-")
	if err != nil {
		return ""
	}
	return dir
}
