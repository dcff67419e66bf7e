package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	tuffetcher "github.com/theupdateframework/go-tuf/v2/metadata/fetcher"

	"github.com/tufoci/tufoci/ociremote"
)

var _ tuffetcher.Fetcher = (*Fetcher)(nil)

// Fetcher answers go-tuf's updater from any source. It is meant for one updater
// at a time; programs that make one updater after another, as sigstore-go does,
// may keep it.
//
// Within one refresh all answers come from one [View]. The view is opened by the
// first request. A new one is opened by a request for a root once a refresh has
// ended, that is after a timestamp was handed out, after a failure, or when the
// version asked for is not later than the one before.
type Fetcher struct {
	// go-tuf's Fetcher passes no context, so one for all requests is kept.
	ctx  context.Context
	src  Source
	opts Options
	base string

	mu       sync.Mutex
	view     *View
	ended    bool  // the refresh that view belongs to
	lastRoot int64 // the version asked for last in this refresh
}

// New returns a fetcher for src. All requests end when ctx does. Nothing is read
// before the first request, which also reports options that make no sense.
func New(ctx context.Context, src Source, o Options) *Fetcher {
	base := o.BaseURL
	if base == "" {
		base = src.baseURL()
	}
	return &Fetcher{ctx: ctx, src: src, opts: o, base: strings.TrimRight(base, "/") + "/"}
}

// Configure makes cfg read from the fetcher: it sets Fetcher, RemoteMetadataURL
// and RemoteTargetsURL. The URLs are only names here; config.New can be given any
// URL before. Hash prefixes of target files follow the repository's root.
func (f *Fetcher) Configure(cfg *config.UpdaterConfig) {
	cfg.Fetcher = f
	cfg.RemoteMetadataURL = f.BaseURL()
	cfg.RemoteTargetsURL = f.base + strings.TrimRight(targetsFolder, "/")
}

// BaseURL is the URL below which the fetcher answers, without a slash at the
// end: for programs that cannot use Configure and want the URL from their user.
func (f *Fetcher) BaseURL() string { return strings.TrimRight(f.base, "/") }

// View returns the view that the last answer came from, nil before the first.
func (f *Fetcher) View() *View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

// DownloadFile implements go-tuf's Fetcher. The URL is the base URL and, after
// it, "targets/" with the path of a target file, or the name of a metadata file.
// The duration is not used, as in go-tuf itself: [Limits] holds the time-outs.
//
// Errors are those of [Open] and [View.File]. In go-tuf's terms they are
// ErrDownload; too long a file is ErrDownloadLengthMismatch; and a root that the
// repository does not have, nothing else, is ErrDownloadHTTP with status 404.
func (f *Fetcher) DownloadFile(urlPath string, maxLength int64, _ time.Duration) ([]byte, error) {
	title, err := f.title(urlPath)
	if err != nil {
		return nil, downloadError(err)
	}
	class, root := classify(title)
	v, err := f.viewFor(class, root)
	if err != nil {
		return nil, downloadError(err)
	}
	data, err := v.File(f.ctx, title, maxLength)
	if class == classRoot && errors.Is(err, ErrFileNotFound) {
		return nil, fmt.Errorf("%w (%w)", &tuf.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: urlPath}, err)
	}
	f.answered(v, class, err)
	if err != nil {
		return nil, downloadError(err)
	}
	return data, nil
}

// title cuts the base off a URL.
func (f *Fetcher) title(urlPath string) (string, error) {
	name, ok := strings.CutPrefix(urlPath, f.base)
	if !ok {
		return "", fmt.Errorf("%w: the URL %q does not begin with %q; see Fetcher.Configure and Options.BaseURL",
			ErrInvalidName, urlPath, f.base)
	}
	if !strings.HasPrefix(name, targetsFolder) {
		name = metadataFolder + name
	}
	return name, checkTitle(name)
}

// viewFor returns the view for a request, a new one if a refresh begins with it.
func (f *Fetcher) viewFor(class fileClass, root int64) (*View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	again := f.view != nil && class == classRoot && (f.ended || root <= f.lastRoot)
	if f.view == nil || again {
		o := f.opts
		if f.view != nil && f.view.bundle != nil {
			b := f.view.Bundle()
			o.Known = ociremote.Known{Digest: b.Descriptor.Digest, ETag: b.ETag, Size: b.Descriptor.Size}
			o.KnownBundle = b.Manifest
		}
		v, err := open(f.ctx, f.src, o, f.view)
		if err != nil {
			return nil, err
		}
		f.view, f.ended = v, false
	}
	if class == classRoot {
		f.lastRoot = root
	}
	return f.view, nil
}

// answered notes what ends a refresh.
func (f *Fetcher) answered(v *View, class fileClass, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v == f.view && (err != nil || class == classTimestamp) {
		f.ended = true
	}
}

// downloadError puts an error into go-tuf's terms.
func downloadError(err error) error {
	if errors.Is(err, ociremote.ErrTooLarge) {
		return fmt.Errorf("%w: %w", &tuf.ErrDownloadLengthMismatch{Msg: "file too long"}, err)
	}
	return fmt.Errorf("%w: %w", &tuf.ErrDownload{Msg: "reading the TUF repository"}, err)
}
