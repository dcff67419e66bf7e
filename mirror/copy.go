package mirror

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// Source is where a copy reads.
type Source struct {
	// View is the verified metadata. Images are verified against it, and it is what is
	// copied: what the source serves later changes neither.
	View *trust.View
	// Entry says what an image needs: its Scopes, Require, MinLevel and MaxStale count.
	Entry trust.Entry
	// Locate says where an image of the canonical name HOST/REPOSITORY lies, without
	// tag and digest; nil: in the registry that its name says.
	Locate func(canonical string) ociremote.ImageReference
	// Open opens the repository of an image. It is called once for each place.
	Open func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error)
	// Trust is the repository of the metadata and Tag the channel there, for History;
	// default [ociremote.DefaultChannel].
	Trust ociremote.Repository
	Tag   string
}

// Destination is where a copy is written.
type Destination struct {
	// Trust is the repository of the metadata, Tag its tag there; default
	// [ociremote.DefaultChannel].
	Trust ociremote.WritableRepository
	Tag   string
	// Images opens the repository for images of a canonical repository,
	// HOST/REPOSITORY. It is called once for each. What it returns may be an
	// [ociremote.NamedWriter]: images then go under their full names.
	Images func(ctx context.Context, canonical string) (ociremote.WritableRepository, error)
}

// Options of Copy.
type Options struct {
	Source      Source
	Destination Destination
	// Images to copy, see Select; none: metadata alone.
	Images []Image
	// Referrers copies everything that refers to an image, and to what refers to it.
	// Without it, Notation signatures and attached trust alone travel.
	Referrers bool
	// AllowRevoked and AllowUnmapped copy images that are revoked, or that no signed
	// entry names. Each one is reported. A revoked image is still held to the digest
	// that is signed, but its signature is not looked at; an unmapped one needs a good
	// signature where the entry requires one. If it is a certificate that is revoked, a
	// signed entry has to name the image, whatever is required.
	AllowRevoked, AllowUnmapped bool
	// History is how many bundles before the newest one are copied too, under their
	// history tags, each verified as of its own time.
	History int
	// Layout re-encodes the bundle, see [publish.MirrorOptions].
	Layout ociremote.Layout
	// NoHistory writes no history tag for the newest bundle.
	NoHistory bool
	// DryRun verifies, and writes nothing.
	DryRun bool
	// Concurrency is how many images are copied at the same time; default 5.
	Concurrency int
	// Now is the clock; default time.Now.
	Now      func() time.Time
	Progress Progress
	// Sending is told about the blobs of the metadata.
	Sending publish.Progress
	// Warn is given what does not stop a copy but should be read; nil: nobody is.
	Warn func(string)
	// BeforeTags is asked once everything is there and verified, before the first tag
	// that existed moves; an error ends the copy. Nil: nobody is.
	BeforeTags func(*Result) error

	// accepted is told the answer about each image that may be copied, from several
	// goroutines. Nil: nobody is.
	accepted func(Image, *verify.Result)
}

// Image is one to copy.
type Image struct {
	// Name is its canonical repository, HOST/REPOSITORY; Tag or Digest, or both, say
	// which one.
	Name   string
	Tag    string
	Digest digest.Digest
}

// Progress is told how far a copy is. Calls never come at the same time.
type Progress interface {
	// Images says how many there are.
	Images(total int)
	// Image says that one is finished, with the bytes that were sent for it.
	Image(r *ImageResult)
}

// Result of Copy.
type Result struct {
	// Metadata is what became of the trust repository; nil if it was not reached.
	Metadata *publish.MirrorResult
	// History are the tags of the older bundles that were copied.
	History []string
	// Images in the order of the options.
	Images []ImageResult
	// Bytes and Blobs are what was sent for images.
	Bytes int64
	Blobs int
}

// ImageResult is what became of one image.
type ImageResult struct {
	Image
	// Digest is what was verified and copied, "" if that was not reached.
	Digest    digest.Digest
	MediaType string
	// Signatures, Attachments and Referrers that were copied or found there.
	Signatures, Attachments, Referrers int
	// Unchanged: all of it was there.
	Unchanged bool
	// Allowed says why it was copied although it does not verify: "revoked" or
	// "unmapped".
	Allowed string
	Bytes   int64
	Err     error
}

// Copy copies images and then the metadata that speaks of them.
//
// The order is such that whoever is killed, or loses the source on the way, leaves
// a destination that verifies: blobs and manifests first, by digest; a tag that does
// not exist yet, when its image is there; then the trust repository; then tags that
// move. Whether the metadata can be written is found out before all that. An image
// that fails has an Err in the result, keeps no other from being copied, and the
// error of Copy is the gravest; the metadata is copied all the same. A copy that is
// made again sends what is missing.
//
// What is copied of an image is what was verified: all that its manifest names, by
// digest, and the signatures and attachments that refer to it. Those are unsigned: one
// that is damaged, or too large, is left out with a warning, unless it is the
// signature that was found good. A list of them that does not end is [ErrEndless].
//
// Errors: those of verify.Verifier.Image of images, of publish.Mirror for the
// metadata, of package ociremote, and of BeforeTags.
func Copy(ctx context.Context, o Options) (*Result, error) {
	c, err := newCopying(ctx, o)
	if err != nil {
		return nil, err
	}
	return c.run(ctx)
}
