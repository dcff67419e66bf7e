package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// maxAdopted bounds the target files that are read of a repository that comes
// from elsewhere, in bytes: all of them are kept until the first publish. A bundle
// has 512 by default, of which the largest are trust roots and CRLs.
const maxAdopted = 256 << 20

// ReadOrigin reads all of a verified repository, for [metadata.Adopt]. With channel
// it is the one that the workspace publishes to, under that tag, and target files
// are read as far as a workspace keeps them; with "" it comes from elsewhere, and all
// are read. [ErrPartial], [ErrAdopt], and the errors of package trust for what cannot
// be read or verified.
func ReadOrigin(ctx context.Context, view *trust.View, channel string, at time.Time) (*metadata.Origin, error) {
	bundle := view.Bundle()
	if bundle != nil && bundle.Partial {
		return nil, ErrPartial
	}
	from := &metadata.Origin{Tag: channel, At: at}
	if channel != "" {
		if err := atHome(bundle); err != nil {
			return nil, err
		}
		from.Digest = bundle.Descriptor.Digest.String()
	}
	inv, err := view.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	if len(inv.Missing) > 0 {
		return nil, fmt.Errorf("%w: %s: %w", ErrAdopt, inv.Missing[0].Title, inv.Missing[0].Err)
	}
	if err := addMetadata(ctx, from, view, inv); err != nil {
		return nil, err
	}
	return from, addTargets(ctx, from, view, inv)
}

// atHome refuses what the channel of a workspace cannot go on from.
func atHome(b *ociremote.Bundle) error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: what was verified is not what the channel holds now", ErrAdopt)
	case b.Legacy:
		return fmt.Errorf("%w where it is: it has the layout of docker/attest, over which nothing is published; choose another repository for it", ErrAdopt)
	}
	return nil
}

// addMetadata adds every root, those below the pin too, and the newest file of every
// other role.
func addMetadata(ctx context.Context, from *metadata.Origin, view *trust.View, inv *trust.Inventory) error {
	carried, err := view.CarriedRoots(ctx)
	if err != nil {
		return err
	}
	pin := view.Status().RootSHA256
	for _, f := range append(carried, inv.Metadata...) {
		if f.Role == "root" && f.Digest.Encoded() == pin {
			from.Pin = f.Version
		}
		from.Files = append(from.Files, metadata.File{
			Name: metadata.Title(f.Role, f.Version), Data: f.Data, SHA256: f.Digest.Encoded(), Length: int64(len(f.Data)),
		})
	}
	if first := from.Pin - int64(len(carried)); first > 1 {
		return fmt.Errorf("%w: the source lacks root v%d: a bundle has every root, for clients that start there", ErrAdopt, first-1)
	}
	return nil
}

// addTargets adds the target files.
func addTargets(ctx context.Context, from *metadata.Origin, view *trust.View, inv *trust.Inventory) error {
	var total int64
	done := map[string]bool{}
	for _, t := range inv.Targets {
		title := metadata.TargetTitle(t.Path, metadata.FileHash(t.Hashes))
		if done[title] || from.Digest != "" && t.Length > metadata.MaxKeptTarget {
			continue
		}
		done[title] = true
		if total += t.Length; total > maxAdopted || t.Length > metadata.MaxTargetFile {
			return fmt.Errorf("%w: target %q of %d bytes: at most %d are taken of one, %d of all",
				ErrAdopt, t.Path, t.Length, metadata.MaxTargetFile, maxAdopted)
		}
		data, err := view.ReadTarget(ctx, t)
		if err != nil {
			return err
		}
		from.Files = append(from.Files, metadata.File{
			Name: title, Data: data, SHA256: digest.FromBytes(data).Encoded(), Length: t.Length,
		})
	}
	return nil
}
