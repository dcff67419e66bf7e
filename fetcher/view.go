package fetcher

import (
	"context"

	"github.com/opencontainers/go-digest"
	"github.com/tufoci/tufoci/ociremote"
)

// Options of [Open] and [New]. The zero value works.
type Options struct {
	// Client reaches registries and web servers. Nil: one with default options.
	Client *ociremote.Client
	// TargetsURL is where target files are, if not beside the metadata: an
	// http(s) or file URL for the kinds http and dir (default: "targets/" under
	// the metadata), a registry reference for a bundle of the older layout.
	TargetsURL string
	Limits     Limits
	// Known is the manifest that the caller keeps from last time, with its bytes
	// in KnownBundle. An unchanged source then costs one request without a body.
	Known       ociremote.Known
	KnownBundle []byte
	// Have returns the content of a digest from a local store, nil if it is not
	// there. What it returns is hashed before use.
	Have func(digest.Digest) []byte
	// BaseURL is the prefix that [Fetcher] cuts off the URLs it is asked for.
	// Empty: a URL made from the source.
	BaseURL string
	// Warn is told what a person should know. Nil: nobody is.
	Warn func(string)
}

// View is one consistent state of a source. It is safe for concurrent use.
type View struct{}

// Open resolves the source once and pins what it finds.
func Open(ctx context.Context, src Source, o Options) (*View, error) { panic("not implemented") }

// File returns the file with this title.
func (v *View) File(ctx context.Context, title string, max int64) ([]byte, error) {
	panic("not implemented")
}

// Prefetch starts reading files in the background.
func (v *View) Prefetch(ctx context.Context, titles ...string) { panic("not implemented") }

// Bundle returns the bundle in use, nil for the kinds http and dir.
func (v *View) Bundle() *ociremote.Bundle { panic("not implemented") }

// Unchanged reports whether the source still has the bundle of [Options].Known.
func (v *View) Unchanged() bool { panic("not implemented") }

// Source returns the source of the view.
func (v *View) Source() Source { panic("not implemented") }

// Titles returns the titles of a bundle or a directory, sorted; nil for http.
func (v *View) Titles() []string { panic("not implemented") }
