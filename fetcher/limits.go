package fetcher

import "time"

// Limits bounds what a source can make a client read. A zero field stands for
// its value in [DefaultLimits]; a negative one is refused.
//
// The limits are in bytes and hold whatever length the metadata states: go-tuf
// passes a length found in metadata on as it is.
type Limits struct {
	Root       int64 // one root file
	Timestamp  int64 // timestamp.json
	Snapshot   int64 // one snapshot file
	Targets    int64 // one file of the top-level targets role or of a delegated role
	TargetFile int64 // one target file
	Total      int64 // all that one view reads from its source, the manifest included

	// MinThroughput is the least rate, in bytes a second, at which the body of
	// a response must arrive, measured over each StallWindow. A source that
	// sends less fails with ErrTooSlow.
	MinThroughput int64
	StallWindow   time.Duration

	// Operation is the longest time that a view waits for its source, all
	// metadata taken together. Each target file has this time of its own, so
	// that a program can keep a view and read targets later.
	Operation time.Duration

	// Concurrency is the number of files read ahead at the same time.
	Concurrency int
}

// DefaultLimits returns the limits of a zero Limits value. They leave room for
// 16 384 hash bins in one snapshot (2.2 MB) and for 100 000 targets in one role
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
