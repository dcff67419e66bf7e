package mirror

import "errors"

var (
	// ErrNoMatch says that no signed entry fits a pattern of images.
	ErrNoMatch = errors.New("no signed image matches")
	// ErrEndless says that a source lists more than is read of it: referrers of an
	// image, tags of the trust repository, or manifests within an index.
	ErrEndless = errors.New("the list does not end")
)

// errLeftOut is why a referrer is left out.
var errLeftOut = errors.New("left out")
