package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// command is one call of the program.
type command struct {
	viaOCI      bool
	metadataDir string
	metadataURL string
	targetDir   string
	targetsURL  string
	targetNames []string

	verb string
	args []string
}

// clock tells the time of one command.
type clock func(context.Context) (time.Time, error)

// run carries out one command and returns its exit code: 0, or 1 for whatever went
// wrong, which the suite tells from all other codes.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runAt(ctx, args, date, stdout, stderr)
}

func runAt(ctx context.Context, args []string, now clock, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "panic: %v\n", p)
			code = 1
		}
	}()
	c, err := parseCommand(args, stderr)
	if err == nil {
		err = c.run(ctx, now, stdout)
	}
	if errors.Is(err, flag.ErrHelp) {
		return 0 // the flags were told
	}
	if err != nil {
		fmt.Fprintln(stderr, "Error:", err)
		return 1
	}
	return 0
}

// date asks the program of that name for the time. The suite moves time by faketime,
// which programs that do not use the C library, such as those written in Go, do not see.
func date(ctx context.Context) (time.Time, error) {
	out, err := exec.CommandContext(ctx, "date", "+%s").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("asking date for the time: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time that date tells: %w", err)
	}
	return time.Unix(seconds, 0), nil
}

// parseCommand reads the flags, which come first, and the command behind them.
func parseCommand(args []string, stderr io.Writer) (*command, error) {
	c := &command{}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&c.viaOCI, "via-oci", false, "read through a bundle in a registry")
	flags.StringVar(&c.metadataDir, "metadata-dir", "", "`directory` of trusted metadata")
	flags.StringVar(&c.metadataURL, "metadata-url", "", "`URL` of the repository's metadata")
	flags.StringVar(&c.targetDir, "target-dir", "", "`directory` for target files")
	flags.StringVar(&c.targetsURL, "target-base-url", "", "`URL` of the repository's target files")
	flags.Func("target-name", "`name` of a target to download, any number of times", func(name string) error {
		c.targetNames = append(c.targetNames, name)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() == 0 {
		return nil, errors.New("no command: init, refresh or download")
	}
	c.verb, c.args = flags.Arg(0), flags.Args()[1:]
	return c, c.check()
}

// check reports what a command lacks, or has too much of.
func (c *command) check() error {
	needed := map[string]string{"--metadata-dir": c.metadataDir}
	args := 0
	switch c.verb {
	case "init":
		args = 1
	case "refresh":
		needed["--metadata-url"] = c.metadataURL
	case "download":
		needed["--metadata-url"] = c.metadataURL
		needed["--target-dir"], needed["--target-base-url"] = c.targetDir, c.targetsURL
		needed["--target-name"] = strings.Join(c.targetNames, "")
	default:
		return fmt.Errorf("unknown command %q: want init, refresh or download", c.verb)
	}
	if len(c.args) != args {
		return fmt.Errorf("%s takes %d arguments, not %d; flags come before the command", c.verb, args, len(c.args))
	}
	for flag, value := range needed {
		if value == "" {
			return fmt.Errorf("%s needs %s", c.verb, flag)
		}
	}
	return nil
}

func (c *command) run(ctx context.Context, now clock, stdout io.Writer) error {
	if c.verb == "init" {
		return initialise(c.metadataDir, c.args[0])
	}
	at, err := now(ctx)
	if err != nil {
		return err
	}
	s, err := openSession(ctx, c, at)
	if err != nil {
		return err
	}
	defer s.close()
	return errors.Join(s.work(ctx, stdout), s.show())
}
