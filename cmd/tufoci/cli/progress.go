package cli

import (
	"github.com/schollz/progressbar/v3"

	"github.com/tufoci/tufoci/publish"
)

var _ publish.Progress = (*bars)(nil)

// bars draws one progress bar over all blobs. It is nil where nothing is
// drawn: without a terminal, with --quiet or --no-tty.
type bars struct {
	app *app
	bar *progressbar.ProgressBar
}

func (a *app) newBars() *bars {
	if !a.world.StderrIsTerminal || a.global.noTTY || a.global.quiet {
		return nil
	}
	return &bars{app: a}
}

// progress is what the library is given: an interface that is nil where
// nothing is drawn.
func (b *bars) progress() publish.Progress {
	if b == nil {
		return nil
	}
	return b
}

// Begin implements [publish.Progress].
func (b *bars) Begin(_ int, bytes int64) {
	b.close()
	b.bar = progressbar.NewOptions64(bytes,
		progressbar.OptionSetWriter(b.app.world.Stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("sending"))
}

// Start implements [publish.Progress].
func (b *bars) Start(name string, _ int64) {
	if b.bar != nil {
		b.bar.Describe(shorten(printable(name), 40))
	}
}

// Done implements [publish.Progress].
func (b *bars) Done(_ string, size int64, err error) {
	if b.bar != nil && err == nil {
		_ = b.bar.Add64(size) // drawing is not worth an error
	}
}

// close wipes the bar.
func (b *bars) close() {
	if b == nil || b.bar == nil {
		return
	}
	_ = b.bar.Finish()
	b.bar = nil
}
