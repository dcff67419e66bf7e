package trust

import (
	"context"

	"github.com/tufoci/tufoci/ociremote"
)

// The places next to an image where a bundle can lie.
const (
	PlaceBeside   = "beside"   // under a tag in the image's own repository
	PlaceAttached = "attached" // as a referrer of the image
)

// Copy is a bundle that lies next to an image.
type Copy struct {
	Place string
	// Repository is that of the image, Name the tag or digest of the bundle in it.
	Repository ociremote.Repository
	Name       string
	// Reference is what people call it: "registry.acme.io/shop/api:tuf".
	Reference string
}

// RefreshFrom is Refresh from a copy next to an image. Whoever can push there
// decides how old it is, so the newest verified state decides: a copy that is
// older, or from before a root that is known, is no rollback, and gives the files
// that it shares with that state. A copy of other roots is ErrWrongRoot, and says
// nothing about the trust.
func (c *Client) RefreshFrom(ctx context.Context, from Copy) (*View, error) {
	panic("not built")
}
