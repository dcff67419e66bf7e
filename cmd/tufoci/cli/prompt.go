package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// canAsk says that there is a terminal and that it may be used.
func (a *app) canAsk() bool { return a.world.StdinIsTerminal && !a.global.noTTY }

// confirm asks for a yes. --yes answers it; without a terminal it is a usage
// error that names the flag.
func (a *app) confirm(ctx context.Context, question string) error {
	if a.global.yes {
		return nil
	}
	if !a.canAsk() {
		return unaskedf("%s needs a yes and there is no terminal: give --yes", question)
	}
	fmt.Fprintf(a.world.Stderr, "%s [y/N] ", printable(question))
	line, err := ask(ctx, func() ([]byte, error) { return a.stdin.ReadBytes('\n') })
	if err != nil && len(line) == 0 {
		fmt.Fprintln(a.world.Stderr) // the question stands on an unfinished line
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	switch strings.ToLower(strings.TrimSpace(string(line))) {
	case "y", "yes":
		return nil
	}
	return &declinedError{question}
}

// secret asks for a line that is not shown. variable names what answers it
// where there is no terminal.
func (a *app) secret(ctx context.Context, prompt, variable string) ([]byte, error) {
	if !a.canAsk() {
		return nil, unaskedf("%s is needed and there is no terminal: set %s", prompt, variable)
	}
	fmt.Fprintf(a.world.Stderr, "%s: ", printable(prompt))
	read := a.world.ReadPassword
	if read == nil {
		read = func(ctx context.Context) ([]byte, error) {
			return ask(ctx, func() ([]byte, error) { return a.stdin.ReadBytes('\n') })
		}
	}
	line, err := read(ctx)
	fmt.Fprintln(a.world.Stderr)
	line = bytes.TrimRight(line, "\r\n")
	if err != nil && !errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, err
	}
	if len(line) == 0 {
		return nil, usagef("%s: the answer is empty", prompt)
	}
	return line, nil
}

// ask waits for an answer, or for the end of ctx: a read from a terminal
// cannot be cancelled, so it is left behind.
func ask(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := read()
		got <- answer{line, err}
	}()
	select {
	case r := <-got:
		return r.line, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
