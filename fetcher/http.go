package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

// webPlace is the directory of a TUF repository on a web server.
type webPlace struct {
	client  *http.Client
	meta    *url.URL
	targets *url.URL
}

func openHTTP(metadataURL string, o Options) (*webPlace, error) {
	meta, err := parseBaseURL(metadataURL)
	if err != nil {
		return nil, err
	}
	w, err := newWebPlace(o)
	if err != nil {
		return nil, err
	}
	targets := *meta
	targets.Path = besideOrBelow(meta.Path)
	if targets.RawPath != "" {
		targets.RawPath = besideOrBelow(meta.RawPath)
	}
	w.meta, w.targets = meta, &targets
	return w, nil
}

// besideOrBelow is where the target files of a metadata path are: beside a
// folder called metadata, otherwise in a folder below.
func besideOrBelow(metadataPath string) string {
	if parent, ok := strings.CutSuffix(metadataPath, "/"+metadataFolder); ok {
		return parent + "/" + targetsFolder
	}
	return metadataPath + targetsFolder
}

// openTargetsHTTP returns a place that has target files only.
func openTargetsHTTP(o Options) (*webPlace, error) {
	targets, err := parseBaseURL(o.TargetsURL)
	if err != nil {
		return nil, err
	}
	w, err := newWebPlace(o)
	if err != nil {
		return nil, err
	}
	w.targets = targets
	return w, nil
}

func newWebPlace(o Options) (*webPlace, error) {
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	return &webPlace{client: c.HTTP()}, nil
}

// readMetadata implements place. The name is percent-escaped already.
func (w *webPlace) readMetadata(ctx context.Context, name string, max int64) ([]byte, error) {
	plain, err := url.PathUnescape(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not percent-escaped", ErrInvalidName, name)
	}
	u := *w.meta
	u.RawPath = u.EscapedPath() + name
	u.Path += plain
	return w.get(ctx, &u, max)
}

// readTarget implements place. The name is a path as the metadata has it, which
// go-tuf does not escape.
func (w *webPlace) readTarget(ctx context.Context, name string, max int64) ([]byte, error) {
	u := *w.targets
	u.RawPath = u.EscapedPath() + (&url.URL{Path: name}).EscapedPath()
	u.Path += name
	return w.get(ctx, &u, max)
}

// list implements place: a web server has no list.
func (w *webPlace) list() []string { return nil }

// get makes one request. Only the status 404 means that there is no such file.
func (w *webPlace) get(ctx context.Context, u *url.URL, max int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidName, err)
	}
	// The bytes are signed as they are.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, transportError(u, 0, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errAbsent
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, &ociremote.AuthError{Host: u.Host, Status: resp.StatusCode}
	default:
		return nil, transportError(u, resp.StatusCode, nil)
	}
	if resp.ContentLength > max {
		return nil, &LimitError{Title: u.String(), Size: resp.ContentLength, Max: max}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err != nil {
		return nil, transportError(u, 0, err)
	}
	return data, nil
}

func transportError(u *url.URL, status int, err error) error {
	// The client repeats method and URL, which our own error states too.
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		err = uerr.Err
	}
	return &ociremote.TransportError{Host: u.Host, Status: status, Err: err}
}
