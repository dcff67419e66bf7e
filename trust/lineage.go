package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// lineage tells apart what looks like bad signatures or an expired root, but comes
// of a pin that belongs to another repository: the source has other bytes for the
// pinned version, or no root of that version. It only renames a refusal; nothing
// that the source says here makes a refresh succeed.
func (r *refresh) lineage(ctx context.Context, pin rootFile, failure error) error {
	refused, ok := errors.AsType[*VerificationError](failure)
	if !ok || refused.Kind != ErrThreshold && (refused.Kind != ErrExpired || refused.Role != tuf.ROOT) {
		return failure
	}
	wrong := &VerificationError{
		Kind: ErrWrongRoot, Role: tuf.ROOT, Version: pin.version, Source: r.origin.source.String(),
	}
	offered, err := r.origin.file(ctx, metadataDir+rootFileName(pin.version), r.c.limits.Root)
	switch {
	case errors.Is(err, fetcher.ErrFileNotFound):
		wrong.Detail = fmt.Sprintf("%s has no root v%d, which is pinned; %v", wrong.Source, pin.version, failure)
	case err != nil || bytes.Equal(offered, pin.data):
		return failure
	default:
		wrong.Detail = fmt.Sprintf("the source has another one; %v", failure)
		wrong.Digests = [2]string{hexSum(pin.data), hexSum(offered)}
	}
	return wrong
}
