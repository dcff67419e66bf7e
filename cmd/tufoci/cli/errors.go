package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Exit codes. 10 to 13 keep the meaning that they have in cosign.
const (
	exitOK             = 0
	exitOther          = 1
	exitUsage          = 2
	exitAbsent         = 11
	exitDiffers        = 12
	exitStale          = 20
	exitRollback       = 21
	exitThreshold      = 22
	exitNoTrust        = 23
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

// subject holds the names that a Next line may need. A command fills in what
// it knows; templates that lack a name are left out.
type subject struct {
	command string
	trust   string
	source  string
	role    string
	root    string
	target  string
}

// usageError is a wrong command line, or a question that cannot be asked.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

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
	return fmt.Sprintf("not done within --timeout %s", formatSpan(e.limit))
}
func (e *timeoutError) Unwrap() error { return e.err }

// nothingError says that there was nothing to do, under --exit-code.
type nothingError struct{}

func (nothingError) Error() string { return "nothing to do" }

// rule maps one kind of error to its exit code, its cause and the command that
// helps. {names} are those of subject.
type rule struct {
	match func(error) bool
	code  int
	cause string
	next  string
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error]() func(error) bool {
	return func(err error) bool { _, ok := errors.AsType[T](err); return ok }
}

// rules is looked through from the top; the first match decides.
var rules = []rule{
	{as[*interruptedError](), exitInterrupted, "a signal ended the command; nothing is half written", ""},
	{as[nothingError](), exitNothingToDo, "", ""},
	{as[*usageError](), exitUsage, "the command line is not complete or not right", "`{command} --help`"},
	{as[*timeoutError](), exitRegistry, "the registry or the network is slow, or the limit is short", "run the command again"},
	{is(context.DeadlineExceeded), exitRegistry, "the registry or the network is slow", "run the command again"},
	{is(os.ErrExist), exitOther, "the file is there already and is not overwritten", ""},
	{is(os.ErrNotExist), exitOther, "no such file", ""},
}

// report makes what is shown of an error.
func (a *app) report(err error) *errorReport {
	r := &errorReport{ExitCode: exitOther, What: firstLine(err.Error())}
	for _, rule := range rules {
		if rule.match(err) {
			r.ExitCode, r.Cause, r.Next = rule.code, rule.cause, rule.next
			break
		}
	}
	r.Next = a.subject.fill(r.Next)
	r.Cause = a.subject.fill(r.Cause)
	return r
}

// fill puts names into a template. A template with a name that is not known
// comes out empty.
func (s subject) fill(template string) string {
	names := map[string]string{
		"{command}": s.command, "{trust}": s.trust, "{source}": s.source,
		"{role}": s.role, "{root}": s.root, "{target}": s.target,
	}
	for placeholder, value := range names {
		if !strings.Contains(template, placeholder) {
			continue
		}
		if value == "" {
			return ""
		}
		template = strings.ReplaceAll(template, placeholder, value)
	}
	return template
}

// fail prints an error and returns its exit code.
func (a *app) fail(err error) int {
	r := a.report(err)
	if r.ExitCode == exitNothingToDo {
		return r.ExitCode // said with the result; no error
	}
	if a.global.format == formatJSON {
		doc := document{SchemaVersion: schemaVersion, Warnings: append([]string{}, a.warnings...), Error: r}
		if err := encodeJSON(a.world.Stdout, doc); err != nil {
			fmt.Fprintln(a.world.Stderr, err)
		}
	}
	w := a.world.Stderr
	fmt.Fprintf(w, "Error: %s\n", printable(r.What))
	if r.Cause != "" {
		fmt.Fprintf(w, "Cause: %s\n", printable(r.Cause))
	}
	if r.Next != "" {
		fmt.Fprintf(w, "Next:  %s\n", printable(r.Next))
	}
	if a.global.debug {
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(w, "debug: %T: %s\n", e, printable(e.Error()))
		}
	}
	return r.ExitCode
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
