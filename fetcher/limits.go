package fetcher

import (
	"fmt"
	"time"
)

// Limits bounds what a source can make a client read. A field that is zero has
// its value in [DefaultLimits]; a negative one is refused.
//
// Sizes are in bytes and hold whatever length the metadata states: go-tuf passes
// on a length that it found in metadata as it is, be it 10 GiB or -1.
type Limits struct {
	Root       int64 // one root file
	Timestamp  int64 // timestamp.json
	Snapshot   int64 // one snapshot file
	Targets    int64 // one file of the role targets or of a delegated role
	TargetFile int64 // one target file
	Total      int64 // all that one view reads from its source, the bundle's manifest included

	// MinThroughput is the least rate, in bytes a second, at which a file must
	// arrive, measured over each StallWindow from its first byte on. A source
	// that sends less fails with ErrTooSlow.
	MinThroughput int64
	StallWindow   time.Duration

	// Operation is the longest time that a view waits for its source, for all
	// metadata together. Each target file has this time for itself, so that a
	// program can keep a view and read target files much later.
	Operation time.Duration

	// Concurrency is the number of files that are read ahead at the same time.
	Concurrency int
}

// DefaultLimits returns what a zero Limits stands for. The sizes leave room for
// 16 384 hash bins in a snapshot (2.2 MB) and for 100 000 targets in one role
// (14.4 MB), several times over.
func DefaultLimits() Limits {
	return Limits{
		Root:          512 << 10,
		Timestamp:     64 << 10,
		Snapshot:      16 << 20,
		Targets:       64 << 20,
		TargetFile:    256 << 20,
		Total:         1 << 30,
		MinThroughput: 1 << 10,
		StallWindow:   10 * time.Second,
		Operation:     5 * time.Minute,
		Concurrency:   5,
	}
}

// filled returns the limits with defaults for what is zero.
func (l Limits) filled() (Limits, error) {
	d := DefaultLimits()
	for _, f := range []struct {
		name  string
		value *int64
		def   int64
	}{
		{"Root", &l.Root, d.Root},
		{"Timestamp", &l.Timestamp, d.Timestamp},
		{"Snapshot", &l.Snapshot, d.Snapshot},
		{"Targets", &l.Targets, d.Targets},
		{"TargetFile", &l.TargetFile, d.TargetFile},
		{"Total", &l.Total, d.Total},
		{"MinThroughput", &l.MinThroughput, d.MinThroughput},
		{"StallWindow", (*int64)(&l.StallWindow), int64(d.StallWindow)},
		{"Operation", (*int64)(&l.Operation), int64(d.Operation)},
	} {
		if *f.value < 0 {
			return Limits{}, fmt.Errorf("%w: Limits.%s is negative", ErrLimit, f.name)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	if l.Concurrency < 0 {
		return Limits{}, fmt.Errorf("%w: Limits.Concurrency is negative", ErrLimit)
	}
	if l.Concurrency == 0 {
		l.Concurrency = d.Concurrency
	}
	return l, nil
}

// of returns the limit of a class of files.
func (l Limits) of(class fileClass) int64 {
	switch class {
	case classRoot:
		return l.Root
	case classTimestamp:
		return l.Timestamp
	case classSnapshot:
		return l.Snapshot
	case classTargets:
		return l.Targets
	default:
		return l.TargetFile
	}
}

// allow returns how long the file may be, given the length that the caller
// expects at most. That length is what the configuration allows for a root and
// a timestamp, so a larger one is cut down; for all others it is what metadata
// states, and a file of that length would be refused after it was read.
func (l Limits) allow(title string, class fileClass, max int64) (int64, error) {
	own := l.of(class)
	switch {
	case max < 0:
		return 0, &LimitError{Title: title, Size: max, Max: own}
	case max <= own:
		return max, nil
	case class == classRoot || class == classTimestamp:
		return own, nil
	default:
		return 0, &LimitError{Title: title, Size: max, Max: own}
	}
}
