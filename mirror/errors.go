package mirror

import "errors"

// ErrNoMatch says that no signed entry fits a pattern of images.
var ErrNoMatch = errors.New("no signed image matches")
