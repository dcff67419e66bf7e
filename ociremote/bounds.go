package ociremote

import (
	"context"
	"fmt"
)

// Bounds are what the manifest of a bundle may have at most, where that is to be less
// than the hard limits. A field that is zero, or more, has the hard limit.
type Bounds struct {
	Manifest int64 // bytes; MaxManifest
	Files    int64 // layers; MaxFiles
}

// FetchBundle is [FetchBundle] within these bounds. What breaks them is a
// [MalformedError] with a [LimitError].
func (w Bounds) FetchBundle(ctx context.Context, repo Repository, name string, known Known) (*Bundle, error) {
	return fetchBundle(ctx, repo, name, known, w)
}

// ParseBundle is [ParseBundle] within these bounds.
func (w Bounds) ParseBundle(manifest []byte) (*Bundle, error) { return bundleForm.parse(manifest, w) }

// manifest is the most bytes of a manifest.
func (w Bounds) manifest() int64 { return bounded(w.Manifest, MaxManifest) }

// checkSize refuses a manifest of more bytes.
func (w Bounds) checkSize(size int64) error {
	if most := w.manifest(); size > most {
		return fmt.Errorf("%w: %w", ErrTooLarge, &LimitError{Title: "manifest", Size: size, Max: most, Limit: "manifest"})
	}
	return nil
}

// checkFiles refuses a manifest of more layers.
func (w Bounds) checkFiles(n int64) error {
	if most := bounded(w.Files, MaxFiles); n > most {
		return &LimitError{Title: "manifest", Size: n, Max: most, Unit: "files", Limit: "files"}
	}
	return nil
}

func bounded(own, hard int64) int64 {
	if own <= 0 {
		return hard
	}
	return min(own, hard)
}
