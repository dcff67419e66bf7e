package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tufoci/tufoci/internal/period"
)

// Exit codes. 10 to 13 keep the meaning that they have in cosign.
const (
	exitOK             = 0
	exitOther          = 1
	exitUsage          = 2
	exitNotVouched     = 10
	exitAbsent         = 11
	exitDiffers        = 12
	exitUntrusted      = 13
	exitStale          = 20
	exitRollback       = 21
	exitThreshold      = 22
	exitNoTrust        = 23
	exitRevoked        = 24
	exitMalformed      = 25
	exitNothingToDo    = 30
	exitNeedSignatures = 31
	exitKey            = 32
	exitRefused        = 33
	exitConflict       = 40
	exitLocked         = 41
	exitRegistry       = 50
	exitAuth           = 51
	exitInterrupted    = 130
)

// errorReport is an error as a person reads it.
type errorReport struct {
	ExitCode int    `json:"exitCode"`
	What     string `json:"what"`
	Cause    string `json:"cause"`
	Next     string `json:"next"`
}

// subject holds the names that a rule may need. A command fills in what it
// knows. Names come from anywhere: in the Next lines they are words for a shell.
type subject struct {
	command string // "tufoci trust add"
	flags   string // with which the command does again what failed: " --attach"
	trust   string
	source  string
	roles   []string
	targets []string
	key     string
	host    string
	keys    string
	image   string
	again   string // verifies image once more: "tufoci verify ..."
	noun    string // what the command is about: image, cert, crl or target
	scope   string // that would let a trust speak for image
	reason  string // why none does
	pin     string // how to add the first trust
	copy    string // the repository of a copy next to images
	until   string // how long what was refused would last
	file    string // of a ceremony
	wanted  string // who is to sign, by each rule
	limit   string // of what is read, that was reached
	ceiling string // the most that limit can be set to
	head    string // version of a role that others published
}

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// unaskedError is a question that cannot be asked, since there is no terminal. It names
// the flag or variable that answers it.
type unaskedError struct{ usageError }

func unaskedf(format string, args ...any) error {
	return &unaskedError{usageError{err: fmt.Errorf(format, args...)}}
}

// numberError is a flag that wants a number and was given something else.
func numberError(flag *pflag.InvalidValueError) error {
	return fmt.Errorf("invalid argument %q for \"--%s\" flag: want a whole number", flag.GetValue(), flag.GetFlag().Name)
}

// declinedError is a question that was answered with something else than yes.
type declinedError struct{ question string }

func (e *declinedError) Error() string { return "not confirmed: " + e.question }

// interruptedError is the end of a command by a signal.
type interruptedError struct{ err error }

func (e *interruptedError) Error() string { return "interrupted" }
func (e *interruptedError) Unwrap() error { return e.err }

// timeoutError is the end of a command by --timeout.
type timeoutError struct {
	limit time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("not done within --timeout %s", period.Format(e.limit))
}
func (e *timeoutError) Unwrap() error { return e.err }

// nothingError says that there was nothing to do, under --exit-code.
type nothingError struct{}

func (nothingError) Error() string { return "nothing to do" }

// report makes what is shown of an error.
func (a *app) report(err error) *errorReport {
	s := a.subject
	s.learn(err)
	r := &errorReport{ExitCode: exitOther, What: oneLine(err.Error())}
	for _, rule := range rules {
		if !rule.match(err) {
			continue
		}
		r.ExitCode, r.Cause = rule.code, s.fill(rule.cause)
		for _, next := range rule.next {
			if r.Next = s.fill(next); r.Next != "" {
				break
			}
		}
		break
	}
	return r
}

// fill puts names into a template. A template with a name that is not known
// comes out empty.
func (s subject) fill(template string) string {
	values := []string{
		"{command}", s.command, "{again}", s.again, "{pin}", s.pin, "{noun}", s.noun,
		"{keys}", s.keys, "{wanted}", s.wanted, "{reason}", s.reason, "{until}", s.until,
		"{limit}", s.limit, "{ceiling}", s.ceiling, "{head}", s.head,
		"{trust}", shellWord(s.trust), "{source}", shellWord(s.source), "{role}", shellWords(s.roles), "{target}", shellWords(s.targets),
		"{key}", shellWord(s.key), "{host}", shellWord(s.host), "{image}", shellWord(s.image), "{scope}", shellWord(s.scope),
		"{copy}", shellWord(s.copy), "{file}", shellWord(s.file),
	}
	for i := 0; i < len(values); i += 2 {
		if values[i+1] == "" && strings.Contains(template, values[i]) {
			return ""
		}
	}
	return strings.NewReplacer(values...).Replace(template)
}

// fail prints an error and returns its exit code.
func (a *app) fail(err error) int {
	r := a.report(err)
	if r.ExitCode == exitNothingToDo {
		return r.ExitCode // the result says it; it is no error
	}
	w := a.world.Stderr
	if err := a.printFailed(err, r); err != nil {
		fmt.Fprintf(w, "Error: %v\n", err)
	}
	fmt.Fprintf(w, "Error: %s\n", printable(r.What))
	if r.Cause != "" {
		fmt.Fprintf(w, "Cause: %s\n", printable(r.Cause))
	}
	if r.Next != "" {
		fmt.Fprintf(w, "Next:  %s\n", printable(r.Next))
	}
	if a.global.debug {
		a.debugError(err, 0)
	}
	return r.ExitCode
}

// debugError prints the chain of an error with its types.
func (a *app) debugError(err error, depth int) {
	fmt.Fprintf(a.world.Stderr, "debug: %s%T: %s\n", strings.Repeat("  ", depth), err, printable(oneLine(err.Error())))
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			a.debugError(next, depth+1)
		}
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			a.debugError(next, depth+1)
		}
	}
}

// printFailed prints what there is on standard output in spite of the error.
func (a *app) printFailed(err error, r *errorReport) error {
	if partial, ok := errors.AsType[*partialError](err); ok {
		partial.result.common().Error = r
		return a.print(partial.result)
	}
	if a.global.format == formatJSON {
		return a.print(&failure{document{Error: r}})
	}
	return nil
}

// failure is the JSON document of an error without a result.
type failure struct{ document }

func (*failure) text(io.Writer, *app) {}

// oneLine puts joined errors, which have a line each, in one.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
