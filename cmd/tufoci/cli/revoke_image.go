package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

type revokeImageOptions struct {
	revokeFlags
	repositoryOnly bool
	noFetch        bool
}

func (a *app) newRevokeImage() *cobra.Command {
	var o revokeImageOptions
	cmd := &cobra.Command{
		Use:   "image NAME:TAG|NAME@DIGEST...",
		Short: "Stage the revocation of images, whatever signs them",
		Long: `Stage the revocation of images by their digests: NAME:TAG is the digest that is
signed under that name, never what a registry serves now. An index is revoked
with all its manifests. It is read for that by its digest, from the host that
images: in tufoci.yaml names; --no-fetch does without, for one that no registry
has any more, and then finds only the platforms that are signed.

A digest counts in every repository, since images are copied; with
--repository-only it counts in its own.

--role revocations writes to the list of that role, which can only deny, so that
a key on call can sign it: tufoci role add revocations --key NAME.`,
		Example: `  tufoci revoke image shop/api:1.4.2 --reason CVE-2026-1234
  tufoci revoke image shop/api@sha256:... --reason CVE-2026-2345 --role revocations`,
		Args: cobra.MinimumNArgs(1),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.repositoryOnly, "repository-only", false, "only in the image's own repository")
	f.BoolVar(&o.noFetch, "no-fetch", false, "do not read the image to find the manifests of an index")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			r, err := a.runRevokeImage(ctx, w, args, &o)
			if err != nil {
				return err
			}
			return a.printChange(r, o.exitCode && r.Unchanged)
		})
	})
	return cmd
}

func (a *app) runRevokeImage(ctx context.Context, w *metadata.Workspace, args []string, o *revokeImageOptions) (*revokeResult, error) {
	more := &material.Revocations{}
	for _, name := range imageNames(w, args) {
		repository, dgst, err := signedDigest(w, name)
		if err != nil {
			return nil, err
		}
		digests, err := a.revokedDigests(ctx, w, repository, dgst, o)
		if err != nil {
			return nil, err
		}
		for _, d := range digests {
			revoked := material.RevokedImage{Digest: d, Reason: o.reason, Time: a.revocationTime()}
			if o.repositoryOnly {
				revoked.Repository = repository
			}
			more.Images = append(more.Images, revoked)
		}
	}
	return a.revoke(ctx, w, more, &o.revokeFlags)
}

// signedDigest is the digest of a name: the one it has in it, or the one that is signed for its tag.
func signedDigest(w *metadata.Workspace, name string) (repository, dgst string, err error) {
	repository, tag, dgst, ok := trust.ParseImageName("images/" + name)
	if !ok {
		return "", "", usagef("image %q: want NAME:TAG or NAME@sha256:HEX, without a host", name)
	}
	if tag == "" {
		return repository, dgst, nil
	}
	image, err := w.Image(name)
	if errors.Is(err, metadata.ErrNoTarget) {
		return "", "", fmt.Errorf("%w; name it by its digest: %s@sha256:HEX", err, repository)
	}
	if err != nil {
		return "", "", err
	}
	return repository, image.Digest, nil
}

// revokedDigests is an image with all that a client could run of it.
func (a *app) revokedDigests(ctx context.Context, w *metadata.Workspace, repository, dgst string, o *revokeImageOptions) ([]string, error) {
	out := []string{dgst}
	signed, err := w.Images(metadata.ImageFilter{Repository: repository})
	if err != nil {
		return nil, err
	}
	for _, i := range signed {
		if i.Index == dgst && !slices.Contains(out, i.Digest) {
			out = append(out, i.Digest)
		}
	}
	if o.noFetch {
		a.warn(fmt.Sprintf("%s@%s was not read: if it is an index, manifests of it that are not signed are not revoked", repository, dgst))
		return out, nil
	}
	host, err := canonicalHost(w)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	ref := ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: host, Repository: repository, Digest: digest.Digest(dgst)}
	repo, err := imageOpener(client)(ctx, ref)
	if err != nil {
		return nil, err
	}
	found, err := publish.ImageManifests(ctx, repo, ref)
	if errors.Is(err, publish.ErrNoImage) {
		return nil, fmt.Errorf("%w; --no-fetch revokes it without its manifests", err)
	}
	for _, d := range found {
		if !slices.Contains(out, d.String()) {
			out = append(out, d.String())
		}
	}
	return out, err
}
