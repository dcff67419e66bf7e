package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// targetReader reads the files of a workspace's targets, staged or published.
// What is published and large is not kept there; it is asked of the registry by
// the digest that the workspace's own metadata gives, so that nothing but these
// bytes can come.
type targetReader struct {
	app   *app
	ws    *metadata.Workspace
	flags *registryFlags
	repo  ociremote.Repository // nil until it is needed
}

func (a *app) newTargetReader(w *metadata.Workspace, flags *registryFlags) *targetReader {
	return &targetReader{app: a, ws: w, flags: flags}
}

// read returns the bytes of a target.
func (r *targetReader) read(ctx context.Context, t metadata.Target) ([]byte, error) {
	data, err := r.ws.TargetData(t.Path)
	if !errors.Is(err, metadata.ErrNotAtHand) {
		return data, err
	}
	if r.repo == nil {
		if r.repo, err = r.app.readable(ctx, r.ws.Config().Repository, r.flags); err != nil {
			return nil, err
		}
	}
	desc := ocispec.Descriptor{
		MediaType: ociremote.MediaTypeTarget, Digest: digest.NewDigestFromEncoded(digest.SHA256, t.SHA256), Size: t.Length,
	}
	if data, err = ociremote.FetchBlob(ctx, r.repo, desc, metadata.MaxTargetFile); err != nil {
		return nil, fmt.Errorf("target %q: %w", t.Path, err)
	}
	return data, nil
}

// readable opens a registry repository to read from.
func (a *app) readable(ctx context.Context, repository string, flags *registryFlags) (ociremote.Repository, error) {
	ref, client, err := a.repositoryClient(ctx, repository, flags)
	if err != nil {
		return nil, err
	}
	return client.Repository(ctx, ref, false)
}

// reserved lists the targets that clients take for certificates, CRLs, policies
// and revocations: those of targets, and of the role that can only deny.
func reserved(w *metadata.Workspace) ([]metadata.Target, error) {
	all, err := w.Targets(metadata.TargetFilter{Role: "targets"})
	if err != nil {
		return nil, err
	}
	denied, err := w.Targets(metadata.TargetFilter{Role: "revocations"})
	if err != nil && !errors.Is(err, metadata.ErrNoRole) {
		return nil, err
	}
	var out []metadata.Target
	for _, t := range append(all, denied...) {
		if material.Reserved(t.Path) {
			out = append(out, t)
		}
	}
	return out, nil
}

// material reads the reserved targets that keep accepts.
func (r *targetReader) material(ctx context.Context, keep func(name string) bool) ([]material.File, error) {
	targets, err := reserved(r.ws)
	if err != nil {
		return nil, err
	}
	var files []material.File
	for _, t := range targets {
		if !keep(t.Path) {
			continue
		}
		data, err := r.read(ctx, t)
		if err != nil {
			return nil, err
		}
		files = append(files, material.File{Name: t.Path, Data: data, Custom: t.Custom})
	}
	return files, nil
}

// isCertificate reports whether a target is a file of a trust store.
func isCertificate(name string) bool {
	_, _, _, ok := material.ParseCertificateName(name)
	return ok
}
