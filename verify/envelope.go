package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxEnvelope is the size of an envelope, in bytes. One with a long chain and a
	// timestamp has some 20 KiB. Where several trusts decide, all that were read of an
	// image are kept for the others.
	maxEnvelope = 256 << 10
)

// errNotSignature: something else refers to the image.
var errNotSignature = errors.New("not a signature")

// envelope is a signature as it was read.
type envelope struct {
	mediaType string
	data      []byte
}

// fetchEnvelope reads the manifest of a signature, and the envelope that it names.
// errNotSignature for a manifest of another kind; ErrEnvelope for one that breaks
// the rules; ErrNoSignature for one that is listed and gone.
func fetchEnvelope(ctx context.Context, repo ociremote.Repository, referrer ocispec.Descriptor, subject digest.Digest) (*envelope, error) {
	layer, err := fetchSignatureManifest(ctx, repo, referrer, subject)
	if err != nil {
		return nil, err
	}
	data, err := ociremote.FetchBlob(ctx, repo, layer, maxEnvelope)
	switch {
	case err == nil:
		return &envelope{layer.MediaType, data}, nil
	case errors.Is(err, ociremote.ErrBlobNotFound), errors.Is(err, ociremote.ErrNotFound):
		return nil, &Refusal{Kind: ErrNoSignature, Name: referrer.Digest.String(), Detail: "its envelope is not there"}
	case unreachable(err):
		return nil, err
	default:
		return nil, &Refusal{Kind: ErrEnvelope, Name: referrer.Digest.String(), Err: err}
	}
}

// fetchSignatureManifest returns the descriptor of the envelope.
func fetchSignatureManifest(ctx context.Context, repo ociremote.Repository, referrer ocispec.Descriptor, subject digest.Digest) (ocispec.Descriptor, error) {
	var none ocispec.Descriptor
	refuse := func(format string, a ...any) (ocispec.Descriptor, error) {
		return none, &Refusal{Kind: ErrEnvelope, Name: referrer.Digest.String(), Detail: fmt.Sprintf(format, a...)}
	}
	m, err := ociremote.FetchManifest(ctx, repo, referrer.Digest.String())
	switch {
	case errors.Is(err, ociremote.ErrNotFound), errors.Is(err, ociremote.ErrBlobNotFound):
		return none, &Refusal{Kind: ErrNoSignature, Name: referrer.Digest.String(), Detail: "it is listed as a referrer and not there"}
	case err != nil && !unreachable(err):
		return refuse("%v", err)
	case err != nil:
		return none, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Data, &manifest); err != nil {
		return refuse("no manifest: %v", err)
	}
	switch {
	case m.IsIndex() || manifest.Config.MediaType != material.SignatureType && manifest.ArtifactType != material.SignatureType:
		return none, errNotSignature
	case m.Subject == nil || m.Subject.Digest != subject:
		return refuse("it is of another image")
	case len(manifest.Layers) != 1:
		return refuse("%d envelopes in one signature", len(manifest.Layers))
	}
	layer := manifest.Layers[0]
	switch {
	case layer.MediaType != jws.MediaTypeEnvelope && layer.MediaType != cose.MediaTypeEnvelope:
		return refuse("envelope of the unknown media type %.128q", layer.MediaType)
	case !ociremote.IsDigest(layer.Digest.String()):
		return refuse("envelope with an invalid digest")
	}
	// Bytes that a descriptor carries with it are not used: they need no blob.
	return ocispec.Descriptor{MediaType: layer.MediaType, Digest: layer.Digest, Size: layer.Size}, nil
}

// unreachable reports whether an error is of the way to the registry, and says
// nothing about what is there.
func unreachable(err error) bool {
	var transport *ociremote.TransportError
	var auth *ociremote.AuthError
	return errors.As(err, &transport) || errors.As(err, &auth) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
