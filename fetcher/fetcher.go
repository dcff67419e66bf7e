package fetcher

import (
	"context"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	tuffetcher "github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
)

var _ tuffetcher.Fetcher = (*Fetcher)(nil)

// Fetcher is a go-tuf fetcher.
type Fetcher struct{}

// New returns a fetcher for one refresh.
func New(ctx context.Context, src Source, o Options) *Fetcher { panic("not implemented") }

// DownloadFile implements go-tuf's Fetcher.
func (f *Fetcher) DownloadFile(urlPath string, maxLength int64, _ time.Duration) ([]byte, error) {
	panic("not implemented")
}

// Configure sets the fetcher and both remote URLs of cfg.
func (f *Fetcher) Configure(cfg *config.UpdaterConfig) { panic("not implemented") }

// View returns the view in use, nil before the first download.
func (f *Fetcher) View() *View { panic("not implemented") }
