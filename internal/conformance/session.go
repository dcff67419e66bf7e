package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// ownDir, below the metadata directory, is ours: the suite reads the files directly
	// in its directory, and takes each *.json for trusted metadata.
	ownDir = "tufoci"
	// pinFile in it is the root that the client was given.
	pinFile = "root.json"
)

// initialise keeps the root file as the pin. Whether it is one is seen by the first
// refresh: the suite expects no checks here.
func initialise(metadataDir, root string) error {
	data, err := os.ReadFile(root)
	if err != nil {
		return err
	}
	own := filepath.Join(metadataDir, ownDir)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(own, pinFile), data, 0o600),
		os.WriteFile(filepath.Join(metadataDir, "root.json"), data, 0o600),
	)
}

// session is one refresh or download by the client in a metadata directory.
type session struct {
	command *command
	pin     []byte
	client  *trust.Client
	detour  *detour // nil without --via-oci
}

// openSession makes the client. A root that is none is refused before any request.
func openSession(ctx context.Context, c *command, now time.Time) (*session, error) {
	own := filepath.Join(c.metadataDir, ownDir)
	pin, err := os.ReadFile(filepath.Join(own, pinFile))
	if err != nil {
		return nil, fmt.Errorf("no root; init comes first: %w", err)
	}
	s := &session{command: c, pin: pin}
	registries, err := ociremote.NewClient(ociremote.Options{Anonymous: true})
	if err != nil {
		return nil, err
	}
	o := trust.Options{
		Client: registries, StateDir: own, CacheDir: filepath.Join(own, "cache"), TargetsURL: c.targetsURL,
		Now: func() time.Time { return now },
	}
	if o.Source, err = trust.ParseSource(c.metadataURL); err != nil {
		return nil, err
	}
	if s.client, err = trust.New(pin, o); err != nil || !c.viaOCI {
		return s, err
	}
	if s.detour, err = openDetour(ctx, registries, o.Source, c.targetsURL, pin); err != nil {
		return nil, err
	}
	o.Source, o.TargetsURL = s.detour.source, ""
	if s.client, err = trust.New(pin, o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	if s.detour != nil {
		s.detour.close()
	}
}

// work refreshes, and then downloads targets in their order up to the first failure.
func (s *session) work(ctx context.Context, stdout io.Writer) error {
	if s.detour != nil {
		if err := s.detour.gather(ctx); err != nil {
			return err
		}
	}
	view, err := s.client.Refresh(ctx)
	if err != nil {
		return err
	}
	for _, name := range s.command.targetNames {
		data, err := s.get(ctx, view, name)
		if err != nil {
			return fmt.Errorf("target %q: %w", name, err)
		}
		file, err := s.save(name, data)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, file)
	}
	return nil
}

// get returns the verified bytes of a target. A bundle is given its file when it is
// first asked for: the suite counts the requests for target files too.
func (s *session) get(ctx context.Context, view *trust.View, name string) ([]byte, error) {
	data, _, err := view.Get(ctx, name)
	if s.detour == nil || !errors.Is(err, trust.ErrStaleCopy) {
		return data, err
	}
	target, lookupErr := view.Lookup(ctx, name)
	if lookupErr != nil {
		return nil, err
	}
	if err := s.detour.addTarget(ctx, target); err != nil {
		return nil, err
	}
	if view, err = s.client.Refresh(ctx); err != nil {
		return nil, err
	}
	data, _, err = view.Get(ctx, name)
	return data, err
}

// save writes a target file under a name that is the same each time and names nothing
// but a file in the target directory. A file that is the same already is left alone: the
// suite tells from the time of its last change which one came last.
func (s *session) save(name string, data []byte) (string, error) {
	if err := os.MkdirAll(s.command.targetDir, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(s.command.targetDir, url.PathEscape(name))
	return file, writeChanged(file, data)
}

// writeChanged writes a file unless it has this content.
func writeChanged(file string, data []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return os.WriteFile(file, data, 0o600)
}
