package main

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	detourRepository = "suite/trust"
	detourTag        = "tuf"
)

// detour is the way of the suite's files through a registry: they are gathered from its
// server, as they are, packed into a bundle and pushed. Nothing is judged on the way.
type detour struct {
	registries *ociremote.Client
	registry   *registry
	source     trust.Source // the bundle

	suite *fetcher.View // the suite's server
	pin   []byte
	files []ociremote.Content
	// consistent: names of files hold versions and hashes.
	consistent bool
}

// openDetour starts the registry. Nothing is asked of the suite's server yet.
func openDetour(ctx context.Context, registries *ociremote.Client, suite trust.Source, targetsURL string, pin []byte) (*detour, error) {
	d := &detour{registries: registries, pin: pin}
	var err error
	if d.suite, err = fetcher.Open(ctx, suite, fetcher.Options{Client: registries, TargetsURL: targetsURL}); err != nil {
		return nil, err
	}
	if d.registry, err = startRegistry(); err != nil {
		return nil, err
	}
	d.source, err = trust.ParseSource(d.registry.host + "/" + detourRepository + ":" + detourTag)
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *detour) close() { _ = d.registry.stop() }

// push puts all files that were gathered so far under the tag, as one bundle.
func (d *detour) push(ctx context.Context) error {
	bundle, blobs, err := ociremote.Pack(d.files, ociremote.PackOptions{})
	if err != nil {
		return err
	}
	repo, err := d.registries.Repository(ctx, d.source.Reference, true)
	if err != nil {
		return err
	}
	to, ok := repo.(ociremote.WritableRepository)
	if !ok {
		return errors.New("the registry cannot be written to")
	}
	for _, blob := range blobs {
		if err := to.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			return err
		}
	}
	return to.PushReference(ctx, bundle.Descriptor, bytes.NewReader(bundle.Manifest), detourTag)
}

// add reads a file of the suite's server into the bundle to come, and returns nil if
// the server does not have it.
func (d *detour) add(ctx context.Context, title string, max int64) ([]byte, error) {
	if slices.ContainsFunc(d.files, func(f ociremote.Content) bool { return f.Title == title }) {
		return nil, nil
	}
	data, err := d.suite.File(ctx, title, max)
	switch {
	case errors.Is(err, fetcher.ErrFileNotFound), errors.Is(err, fetcher.ErrNoRepository), errors.Is(err, fetcher.ErrInvalidName):
		return nil, nil
	case err != nil:
		return nil, err
	}
	d.files = append(d.files, ociremote.Content{Title: title, Data: data})
	return data, nil
}
