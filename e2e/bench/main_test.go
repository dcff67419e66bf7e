//go:build bench

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
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
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		fail(err)
	}
	if err := j.run(); err != nil {
		fail(err)
	}
	peak, err := peakMemory()
	if err != nil {
		fail(err)
	}
	fmt.Println(peak)
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
