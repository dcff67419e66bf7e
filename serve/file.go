package serve

import (
	"context"
	"time"

	"github.com/tufoci/tufoci/trust"
)

// file is one file that can be asked for. It never changes.
type file struct {
	title  string
	digest string // "sha256:…"; "": known when it is read
	size   int64  // bytes; without a digest the most that there can be
	data   []byte // nil: it is read when it is asked for
	read   func(context.Context) ([]byte, error)
	// cache is what the answer says about caching.
	cache string
	// unverified: nobody has vouched for it.
	unverified bool
	// delegated is a role that is judged by its own expiry; nil: the file is no
	// such role.
	delegated *trust.File
	// missing is why a role cannot be served.
	missing error
}

// What answers say about caching. A root has one content for ever, and so has a file
// that has its hash in its name. Other versioned names are written once as well, but
// a repository that recovers from stolen keys may count from a lower number again.
const (
	cacheForEver = "public, max-age=31536000, immutable"
	cacheForADay = "public, max-age=86400, immutable"
	cacheNot     = "no-cache" // ask each time; an ETag makes that cheap
	storeNot     = "no-store" // of errors
)

// catalogue is everything in one state of a repository, by title.
func catalogue(view *trust.View, inv *trust.Inventory, carried []trust.File) map[string]*file {
	files := map[string]*file{}
	for _, f := range carried {
		files[f.Title] = &file{title: f.Title, digest: f.Digest.String(), size: int64(len(f.Data)), data: f.Data, cache: cacheNot, unverified: true}
	}
	for _, f := range inv.Metadata {
		entry := &file{title: f.Title, digest: f.Digest.String(), size: int64(len(f.Data)), data: f.Data, cache: cacheNot}
		switch f.Role {
		case "root":
			entry.cache = cacheForEver
		case "timestamp":
		default:
			if inv.Consistent {
				entry.cache = cacheForADay
			}
			if f.Role != "snapshot" && f.Role != "targets" {
				entry.delegated = &f
			}
		}
		files[f.Title] = entry
	}
	for _, f := range inv.Targets {
		for _, title := range f.Titles {
			entry := &file{title: title, digest: f.Digest.String(), size: f.Length, cache: cacheNot}
			entry.read = func(ctx context.Context) ([]byte, error) { return view.ReadTarget(ctx, f) }
			if inv.Consistent {
				entry.cache = cacheForEver
			}
			files[title] = entry
		}
	}
	for _, m := range inv.Missing {
		files[m.Title] = &file{title: m.Title, missing: m.Err}
	}
	return files
}

// unavailable says why a file cannot be served now.
func (f *file) unavailable(now time.Time) error {
	if role := f.delegated; role != nil && !now.Before(role.Expires) {
		return &trust.VerificationError{Kind: trust.ErrExpired, Role: role.Role, Version: role.Version, Expires: role.Expires, Now: now}
	}
	return f.missing
}
