package doctor

import (
	"errors"
	"fmt"
	"strings"
)

// Why a check fails, for [errors.Is], beside the errors of package ociremote.
var (
	// ErrUnfit: the registry, or its settings, cannot hold a trust repository.
	ErrUnfit = errors.New("the registry does not fit")
	// ErrClock: the clock of this machine and that of the registry, or of whoever
	// signed, are more than [MaxSkew] apart.
	ErrClock = errors.New("the clock is wrong")
	// ErrState: what is published has expired or does not verify.
	ErrState = errors.New("what is published is not well")
)

// Status of a check.
type Status string

const (
	OK      Status = "ok"
	Warn    Status = "warn" // works, with less comfort or less safety
	Fail    Status = "fail" // will not work
	Skipped Status = "skipped"
)

// Areas of checks.
const (
	AreaKeys       = "keys"
	AreaRegistry   = "registry"
	AreaLayout     = "layout"
	AreaClock      = "clock"
	AreaWorkspace  = "workspace"
	AreaRepository = "repository"
)

// Check is one thing that was looked at.
type Check struct {
	Area, Name string
	Status     Status
	Found      string // what was found
	Means      string // to whoever runs the repository; "" where nothing needs to be said
	Next       string // what to do, with commands in backquotes
	Err        error  // why it fails
}

// Report is the outcome of [Run].
type Report struct {
	Checks []Check
	// Layout is the variant of the bundle that fits the registry, "" if that was not
	// found out, or if none does.
	Layout string
	// ReadOnly: nothing was written to the registry.
	ReadOnly bool
	// Left are the tags, and the digests of untagged manifests, that the registry did
	// not let go.
	Left []string
}

// Failed are the checks that fail.
func (r *Report) Failed() []Check {
	var out []Check
	for _, c := range r.Checks {
		if c.Status == Fail {
			out = append(out, c)
		}
	}
	return out
}

// Err is an [UnwellError] if a check fails.
func (r *Report) Err() error {
	failed := r.Failed()
	if len(failed) == 0 {
		return nil
	}
	return &UnwellError{Failed: failed, Of: len(r.Checks)}
}

// UnwellError says which checks fail. It unwraps to why.
type UnwellError struct {
	Failed []Check
	Of     int
}

func (e *UnwellError) Error() string {
	names := make([]string, len(e.Failed))
	for i, c := range e.Failed {
		names[i] = c.Area + " " + c.Name
	}
	return fmt.Sprintf("%d of %d checks fail: %s", len(e.Failed), e.Of, strings.Join(names, ", "))
}

// Unwrap gives why the checks fail.
func (e *UnwellError) Unwrap() []error {
	var out []error
	for _, c := range e.Failed {
		if c.Err != nil {
			out = append(out, c.Err)
		}
	}
	return out
}

func (r *Report) add(checks ...Check) { r.Checks = append(r.Checks, checks...) }

// skip notes checks that were left out, with the reason.
func (r *Report) skip(area, why string, names ...string) {
	for _, name := range names {
		r.add(Check{Area: area, Name: name, Status: Skipped, Found: why})
	}
}
