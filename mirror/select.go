package mirror

import (
	"context"

	"github.com/tufoci/tufoci/trust"
)

// Select reads patterns of images and returns those that the signed entries of a
// view name, sorted, each once.
//
// HOST/REPOSITORY:TAG and HOST/REPOSITORY@DIGEST name one image, which need not be
// signed. In a repository "*" stands for any part of one component and "**" for
// several, as in a scope; a tag is a pattern of [path.Match]. Without a tag it is
// all signed tags of the repositories. A pattern that matches nothing is
// ErrNoMatch.
func Select(ctx context.Context, view *trust.View, patterns []string) ([]Image, error) {
	panic("not built")
}
