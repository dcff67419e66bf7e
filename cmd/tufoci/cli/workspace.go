package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/metadata"
)

// withWorkspace opens the workspace, runs do and releases the lock.
func (a *app) withWorkspace(ctx context.Context, readOnly bool, do func(*metadata.Workspace) error) error {
	return a.withPassphrase(readOnly, a.passphrase(ctx), do)
}

func (a *app) withPassphrase(readOnly bool, passphrase func(string) ([]byte, error), do func(*metadata.Workspace) error) (err error) {
	w, err := metadata.Open(a.global.workspace, metadata.OpenOptions{
		Now:        a.world.Now,
		Passphrase: passphrase,
		Env:        a.world.LookupEnv,
		Opener:     a.opener,
		ReadOnly:   readOnly,
	})
	if err != nil {
		return err
	}
	defer func() {
		if closing := w.Close(); err == nil {
			err = closing
		}
	}()
	a.subject.source = w.Config().Repository
	return do(w)
}

// passphrase answers for the private keys of the workspace: from
// TUFOCI_PASSPHRASE_<KEYNAME>, from TUFOCI_PASSPHRASE, or by asking.
func (a *app) passphrase(ctx context.Context) func(string) ([]byte, error) {
	return func(key string) ([]byte, error) {
		for _, variable := range []string{passphraseVariable(key), envPassphrase} {
			if v := a.env.get(variable); v != "" {
				return []byte(v), nil
			}
		}
		return a.secret(ctx, fmt.Sprintf("passphrase of key %s", key), envPassphrase+" or "+passphraseVariable(key))
	}
}

// newPassphrase is passphrase for a key that is being made: what is typed is
// asked for twice.
func (a *app) newPassphrase(ctx context.Context) func(string) ([]byte, error) {
	known := a.passphrase(ctx)
	answered := map[string][]byte{}
	return func(key string) ([]byte, error) {
		if answer := answered[key]; answer != nil {
			return answer, nil
		}
		first, err := known(key)
		if err != nil || a.env.get(envPassphrase) != "" || a.env.get(passphraseVariable(key)) != "" {
			return first, err
		}
		second, err := a.secret(ctx, "the same again", passphraseVariable(key))
		if err != nil {
			return nil, err
		}
		if string(first) != string(second) {
			return nil, usagef("passphrase of key %s: the two answers differ", key)
		}
		answered[key] = first
		return first, nil
	}
}

// maxInputFile bounds a file that a command reads whole.
const maxInputFile = 512 << 20

// readFile reads a file named on the command line.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInputFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxInputFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxInputFile)
	}
	return data, nil
}

// writeFile writes a file whole or not at all. What is there and no file, such as a pipe or a link,
// is written to and not replaced.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return writeThrough(path, data, mode)
	}
	return durable.Disk{Pattern: ".tufoci-*"}.Write(path, data, mode)
}

func writeThrough(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// assignments is a flag NAME=VALUE that may be given several times.
type assignments struct {
	form   string // for messages: ROLE=N
	values [][2]string
}

func (v *assignments) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || value == "" {
		return fmt.Errorf("want %s", v.form)
	}
	v.values = append(v.values, [2]string{name, value})
	return nil
}

func (v *assignments) Type() string   { return v.form }
func (v *assignments) String() string { return "" }

// spans reads the values as lengths of time.
func (v *assignments) spans() (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for _, kv := range v.values {
		d, err := period.Parse(kv[1])
		if err != nil {
			return nil, usagef("%s=%s: %v", kv[0], kv[1], err)
		}
		out[kv[0]] = d
	}
	return out, nil
}
