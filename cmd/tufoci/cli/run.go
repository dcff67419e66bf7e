// Package cli is the command line of tufoci. [Run] executes one command line
// in a [World]: everything a command takes from its surroundings, so that a
// test or another program can run commands in process and side by side.
//
// A command is one file: a constructor with the flags, and a function that
// makes the library calls and returns what is printed, as text or as JSON.
// Results go to standard output, all else to standard error.
package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/metadata"
)

// World is what a command line meets outside itself.
type World struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// LookupEnv reads an environment variable. Only the names of the
	// allow-list in env.go, and what an env:VAR key names, are asked for.
	LookupEnv func(name string) (string, bool)

	// Environ is the environment of the programs that are run for keys,
	// sigstore-kms-NAME, in the form of os.Environ; they need what their service
	// wants. Its PATH is where they are looked for, then ProgramDir, the
	// directory of the running program.
	Environ    []string
	ProgramDir string

	// Now is the clock. Nothing in the environment and no flag moves it.
	Now func() time.Time

	// Sleep waits for a time, or until ctx ends. Nil: in real time.
	Sleep func(ctx context.Context, d time.Duration) error

	// StdinIsTerminal says that questions can be asked, StderrIsTerminal that
	// progress can be drawn.
	StdinIsTerminal  bool
	StderrIsTerminal bool

	// ReadPassword reads one line from the terminal without showing it, until
	// ctx ends. Nil: the line is read from Stdin.
	ReadPassword func(ctx context.Context) ([]byte, error)
}

// System is the World of the running process.
func System() World {
	return World{
		Stdin:            os.Stdin,
		Stdout:           os.Stdout,
		Stderr:           os.Stderr,
		LookupEnv:        os.LookupEnv,
		Environ:          os.Environ(),
		ProgramDir:       programDir(),
		Now:              time.Now,
		StdinIsTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		StderrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		ReadPassword:     readPassword,
	}
}

// programDir is where the running program lies, "" if the system does not say.
func programDir() string {
	file, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(file)
}

// readPassword reads from the terminal of the process. When ctx ends first, the
// terminal shows again what is typed.
func readPassword(ctx context.Context) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	line, err := ask(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), term.Restore(fd, state))
	}
	return line, err
}

// app is one run of the command line.
type app struct {
	world   World
	env     environment
	stdin   *bufio.Reader
	global  globalFlags
	subject subject            // names for the Next lines of errors
	opener  metadata.KeyOpener // of this run
	started bool               // flags and arguments were good, the command itself runs

	mu       sync.Mutex // of the warnings
	warnings []string
	passing  bool // warnings are printed and not kept
}

// Run executes the command line args, without the program's name, and returns
// its exit code. When ctx ends the command ends too, with code 130.
func Run(ctx context.Context, args []string, w World) int {
	a := newApp(w)
	root := a.newRoot()
	root.SetArgs(args)
	a.global.format = presetFormat(args, a.env)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	a.subject.command = cmd.CommandPath() + a.subject.flags
	a.subject.noun = nounOf(cmd)
	if flag, ok := errors.AsType[*pflag.InvalidValueError](err); ok && as[*strconv.NumError](err) {
		err = numberError(flag)
	}
	if !a.started {
		err = &usageError{err: err}
	}
	if ctx.Err() != nil {
		err = &interruptedError{err: err}
	}
	return a.fail(err)
}

// nounOf is the kind of targets that a command is about.
func nounOf(cmd *cobra.Command) string {
	for c := cmd; c != nil; c = c.Parent() { // revoke image, image rm
		if slices.Contains([]string{"image", "cert", "crl"}, c.Name()) {
			return c.Name()
		}
	}
	return "target"
}

func newApp(w World) *app {
	if w.Stdin == nil {
		w.Stdin = eofReader{}
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Sleep == nil {
		w.Sleep = pause.For
	}
	if w.LookupEnv == nil {
		w.LookupEnv = func(string) (string, bool) { return "", false }
	}
	return &app{world: w, env: environment{lookup: w.LookupEnv}, stdin: bufio.NewReader(w.Stdin)}
}

// action is the body of a command.
type action func(ctx context.Context, args []string) error

// run makes a cobra RunE of an action: it settles the global flags and puts
// the deadline of the whole operation on the context.
func (a *app) run(do action) func(*cobra.Command, []string) error {
	return a.runUnless(new(bool), do)
}

// runUnless is run, without the deadline where the flags have set forever: then
// the command goes on until a signal ends it.
func (a *app) runUnless(forever *bool, do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.settle(cmd); err != nil {
			return err
		}
		a.started = true
		if *forever {
			a.opener = a.newKeyOpener(cmd.Context())
			return do(cmd.Context(), args)
		}
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), time.Duration(a.global.timeout),
			&timeoutError{limit: time.Duration(a.global.timeout)})
		defer cancel()
		a.opener = a.newKeyOpener(ctx)
		err := do(ctx, args)
		if err != nil && ctx.Err() != nil {
			if late := (*timeoutError)(nil); errors.As(context.Cause(ctx), &late) {
				return &timeoutError{limit: late.limit, err: err}
			}
		}
		return err
	}
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
