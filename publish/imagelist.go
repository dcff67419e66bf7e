package publish

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

const (
	maxListLine   = 8 << 10
	maxListImages = 10_000
)

// ReadImageList reads a list of images as `ko --image-refs` writes it: HOST/REPOSITORY[:TAG]@sha256:HEX, one a line. A
// line without a digest is refused: what stands under its tag is not what was built. Empty lines and lines that start
// with # are passed over. Of lines that are the same there is one. [ociremote.ErrInvalidReference].
func ReadImageList(r io.Reader) ([]ociremote.ImageReference, error) {
	var out []ociremote.ImageReference
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		ref, err := ociremote.ParseImage(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case ref.Digest == "":
			return nil, fmt.Errorf("line %d: %w %q: want HOST/REPOSITORY[:TAG]@sha256:HEX", n, ociremote.ErrInvalidReference, line)
		case seen[ref.String()]:
			continue
		case len(out) == maxListImages:
			return nil, fmt.Errorf("%w: a list of more than %d images", ociremote.ErrInvalidReference, maxListImages)
		}
		seen[ref.String()] = true
		out = append(out, ref)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: reading the list: %v", ociremote.ErrInvalidReference, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: a list without images", ociremote.ErrInvalidReference)
	}
	return out, nil
}
