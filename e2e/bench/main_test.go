//go:build bench

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// jobVariable holds the job of a child process.
const jobVariable = "TUFOCI_BENCH_JOB"

// TestMain runs one job in a child process, so that its CPU time and peak
// memory are its own; without one it is the parent that prints the tables.
func TestMain(m *testing.M) {
	encoded, child := os.LookupEnv(jobVariable)
	if !child {
		os.Exit(m.Run())
	}
	start, err := processorTime()
	if err != nil {
		fail(err)
	}
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		fail(err)
	}
	if err := j.run(); err != nil {
		fail(err)
	}
	end, err := processorTime()
	if err != nil {
		fail(err)
	}
	peak, err := peakMemory()
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(usage{CPU: end - start, Peak: peak}); err != nil {
		fail(err)
	}
}

// processorTime is the CPU time of this process so far. The job's own is
// counted from main on: what the packages of this test binary, the registry's
// among them, spend before that is not the client's.
func processorTime() (time.Duration, error) {
	var now syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &now)
	return time.Duration(now.Utime.Nano() + now.Stime.Nano()), err
}

// peakMemory is the most memory this process had resident, in bytes. The
// resource usage that a parent is told of starts with the parent's own.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
