package cli

import (
	"fmt"

	"github.com/schollz/progressbar/v3"

	"github.com/tufoci/tufoci/mirror"
)

var _ mirror.Progress = (*imageBars)(nil)

// imageBars draws one progress bar over all images. It is nil where nothing is drawn.
type imageBars struct {
	bars
	failed int
}

func (a *app) newImageBars() *imageBars {
	b := a.newBars()
	if b == nil {
		return nil
	}
	return &imageBars{bars: *b}
}

// progress is what the library is given: an interface that is nil where nothing is
// drawn.
func (b *imageBars) progress() mirror.Progress {
	if b == nil {
		return nil
	}
	return b
}

// Images implements [mirror.Progress].
func (b *imageBars) Images(total int) {
	b.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.app.world.Stderr),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("images"))
}

// Image implements [mirror.Progress].
func (b *imageBars) Image(r *mirror.ImageResult) {
	if b.bar == nil {
		return
	}
	if r.Err != nil {
		b.failed++
		b.bar.Describe(fmt.Sprintf("images, %d refused", b.failed))
	}
	_ = b.bar.Add(1) // drawing is not worth an error
}

// close wipes the bar.
func (b *imageBars) close() {
	if b != nil {
		b.bars.close()
	}
}
