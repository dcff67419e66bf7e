package fetcher

import (
	"context"
	"fmt"
	"time"

	"github.com/tufoci/tufoci/ociremote"
)

// Limits bounds what a source can make a client read, keep and wait for: the one
// place for all that may differ from trust to trust. A field that is zero has its
// value in [DefaultLimits]; a negative one is refused, and so is one above its
// ceiling, see [AllLimits]. What no trust may change is a constant where it is
// used. docs/limits.md has all of them, with the reason for each number.
//
// Sizes are in bytes and hold whatever length the metadata states: go-tuf passes
// on a length that it found in metadata as it is, be it 10 GiB or -1. What has been
// accepted and stored is read again whatever the limits are now.
type Limits struct {
	Root       int64 // one root file
	Timestamp  int64 // timestamp.json
	Snapshot   int64 // one snapshot file
	Targets    int64 // one file of the role targets or of a delegated role
	Unhashed   int64 // a snapshot or targets file of which the role above states no hash, or no length
	TargetFile int64 // one target file
	Manifest   int64 // the manifest of a bundle, with what it carries
	Total      int64 // all that one view, with those before it, reads from its source, the bundle's manifest included

	Files     int64 // in a bundle
	Values    int64 // JSON values in one metadata file
	Roots     int64 // new roots that one refresh follows
	Visits    int64 // roles that the lookup of one name visits, targets included
	Roles     int64 // roles that a list or a copy of the whole repository reads
	Redirects int64 // of one request
	Referrers int64 // of an image that are listed

	// MinThroughput is the least rate, in bytes a second, at which a file must
	// arrive, measured over each StallWindow from its first byte on. A source
	// that sends less fails with ErrTooSlow.
	MinThroughput int64
	StallWindow   time.Duration

	// Operation is the longest time that a view, with those before it, waits for its
	// source, for all metadata together. Each target file has this time for itself, so that a
	// program can keep a view and read target files much later. So has all that is
	// read of one image.
	Operation time.Duration

	// Concurrency is the number of files that are read ahead at the same time.
	Concurrency int64
}

// Unit is what a limit counts.
type Unit string

// The units of limits.
const (
	UnitBytes Unit = "bytes"
	UnitRate  Unit = "bytes a second"
	UnitTime  Unit = "time" // nanoseconds, as in [time.Duration]
	UnitCount Unit = "count"
)

// Limit describes one field of [Limits].
type Limit struct {
	// Name in trust.yaml, on the command line and in messages: that of the field,
	// with a small letter.
	Name string
	Unit Unit
	// Default is what zero stands for, Ceiling the most that can be set.
	Default, Ceiling int64
	field            func(*Limits) *int64
}

// AllLimits returns the table of the limits that a trust may set. Sizes leave room
// for 16 384 hash bins in a snapshot (2.2 MB) and for 100 000 targets in one role
// (14.4 MB), several times over.
func AllLimits() []Limit {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	return []Limit{
		{"root", UnitBytes, 512 * kib, 4 * mib, func(l *Limits) *int64 { return &l.Root }},
		{"timestamp", UnitBytes, 64 * kib, 1 * mib, func(l *Limits) *int64 { return &l.Timestamp }},
		{"snapshot", UnitBytes, 16 * mib, 128 * mib, func(l *Limits) *int64 { return &l.Snapshot }},
		{"targets", UnitBytes, 64 * mib, 512 * mib, func(l *Limits) *int64 { return &l.Targets }},
		{"unhashed", UnitBytes, 1 * mib, 64 * mib, func(l *Limits) *int64 { return &l.Unhashed }},
		{"targetFile", UnitBytes, 256 * mib, 4 * gib, func(l *Limits) *int64 { return &l.TargetFile }},
		{"manifest", UnitBytes, ociremote.MaxManifest, ociremote.MaxManifest, func(l *Limits) *int64 { return &l.Manifest }},
		{"total", UnitBytes, 1 * gib, 64 * gib, func(l *Limits) *int64 { return &l.Total }},
		{"files", UnitCount, 8192, ociremote.MaxFiles, func(l *Limits) *int64 { return &l.Files }},
		{"values", UnitCount, 1 << 20, 1 << 24, func(l *Limits) *int64 { return &l.Values }},
		{"roots", UnitCount, 1024, 4096, func(l *Limits) *int64 { return &l.Roots }},
		{"visits", UnitCount, 32, 1024, func(l *Limits) *int64 { return &l.Visits }},
		{"roles", UnitCount, 32768, 1 << 20, func(l *Limits) *int64 { return &l.Roles }},
		{"redirects", UnitCount, 5, ociremote.MaxRedirects, func(l *Limits) *int64 { return &l.Redirects }},
		{"referrers", UnitCount, 256, 4096, func(l *Limits) *int64 { return &l.Referrers }},
		{"minThroughput", UnitRate, 1 * kib, 1 * gib, func(l *Limits) *int64 { return &l.MinThroughput }},
		{"stallWindow", UnitTime, int64(10 * time.Second), int64(10 * time.Minute), func(l *Limits) *int64 { return (*int64)(&l.StallWindow) }},
		{"operation", UnitTime, int64(5 * time.Minute), int64(24 * time.Hour), func(l *Limits) *int64 { return (*int64)(&l.Operation) }},
		{"concurrency", UnitCount, 5, 64, func(l *Limits) *int64 { return &l.Concurrency }},
	}
}

// DefaultLimits returns what a zero Limits stands for.
func DefaultLimits() Limits {
	var l Limits
	for _, limit := range AllLimits() {
		*limit.field(&l) = limit.Default
	}
	return l
}

// Ceilings returns the most that each limit can be.
func Ceilings() Limits {
	var l Limits
	for _, limit := range AllLimits() {
		*limit.field(&l) = limit.Ceiling
	}
	return l
}

// Filled returns the limits with defaults for what is zero. ErrLimit names a field
// that is negative, or above its ceiling.
func (l Limits) Filled() (Limits, error) {
	for _, limit := range AllLimits() {
		switch value := limit.field(&l); {
		case *value < 0:
			return Limits{}, fmt.Errorf("%w: the limit %s is negative", ErrLimit, limit.Name)
		case *value > limit.Ceiling:
			return Limits{}, fmt.Errorf("%w: the limit %s is %s, it can be at most %s",
				ErrLimit, limit.Name, limit.Format(*value), limit.Format(limit.Ceiling))
		case *value == 0:
			*value = limit.Default
		}
	}
	return l, nil
}

// bundle is what a manifest may have.
func (l Limits) bundle() ociremote.Bounds {
	return ociremote.Bounds{Manifest: l.Manifest, Files: l.Files}
}

// guard bounds the requests that are made under a context.
func (l Limits) guard(ctx context.Context) context.Context {
	return pace(ociremote.WithRedirects(ctx, int(l.Redirects)), l)
}

// limitOf names the limit of a class of files.
func limitOf(class fileClass) string {
	switch class {
	case classRoot:
		return "root"
	case classTimestamp:
		return "timestamp"
	case classSnapshot:
		return "snapshot"
	case classTargets:
		return "targets"
	default:
		return "targetFile"
	}
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

// over is the error for a file that is longer than max, which is its own limit or
// what the caller allows.
func (l Limits) over(title string, class fileClass, size, max int64) *LimitError {
	e := &LimitError{Title: title, Size: size, Max: max}
	if max == l.of(class) {
		e.Limit = limitOf(class)
	}
	return e
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
		return 0, l.over(title, class, max, own)
	}
}
