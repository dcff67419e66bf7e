package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

type crlRefreshResult struct {
	document
	CRLs []crlRefreshed `json:"crls"`
}

// crlRefreshed is the outcome for one CRL: what is in its place now.
type crlRefreshed struct {
	crlFile
	URL       string `json:"url"`
	Unchanged bool   `json:"unchanged"`
}

func (a *app) newCRLRefresh() *cobra.Command {
	var flags registryFlags
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "refresh [NAME...]",
		Short: "Download CRLs again, and stage those that are newer",
		Long: `Download the CRLs named, or all, from their http and https URLs, the first that
answers, and stage those that are newer. The issuer must be the one that is
there already, its signature is checked, and a number never goes back. If one of
them cannot be had, nothing is staged.`,
		Example: `  tufoci crl refresh
  tufoci crl refresh acme --exit-code`,
	}
	flags.add(cmd, "")
	addExitCodeFlag(cmd, &exitCode)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			r, changed, err := a.runCRLRefresh(ctx, w, args, &flags)
			if err != nil {
				return err
			}
			return a.printChange(r, exitCode && !changed)
		})
	})
	return cmd
}

func (a *app) runCRLRefresh(ctx context.Context, w *metadata.Workspace, names []string, flags *registryFlags) (r *crlRefreshResult, changed bool, err error) {
	held, err := a.newTargetReader(w, flags).crls(ctx, names...)
	if err != nil {
		return nil, false, err
	}
	client, err := a.client(ctx, flags)
	if err != nil {
		return nil, false, err
	}
	r = &crlRefreshResult{CRLs: []crlRefreshed{}}
	var files []metadata.TargetFile
	for _, old := range held {
		urls := webURLs(old.URLs)
		if len(urls) == 0 {
			if len(names) > 0 {
				return nil, false, usagef("CRL %s has no http or https URL: `tufoci crl add --url` gives it one", old.Name)
			}
			a.warn(fmt.Sprintf("CRL %s has no http or https URL, and is passed over", old.Name))
			continue
		}
		next, from, err := a.download(ctx, client.HTTP(), old, urls)
		if err != nil {
			return nil, false, err
		}
		out := crlRefreshed{crlFile: newCRLFile(next, old.staged), URL: from, Unchanged: !newer(next, old.CRL)}
		if out.Unchanged {
			out.crlFile = newCRLFile(old.CRL, old.staged)
		} else {
			out.Staged = true
			files = append(files, crlFiles(next, old.files[0].Custom)...)
		}
		a.warnDates(next)
		r.CRLs = append(r.CRLs, out)
	}
	if len(files) == 0 {
		return r, false, nil
	}
	_, err = w.AddTargets(files, "targets")
	return r, true, err
}

// newer reports whether a successor says something new: signed again with the
// same number and date it does not.
func newer(next, old *material.CRL) bool {
	return next.List.ThisUpdate.After(old.List.ThisUpdate) || old.Number() != nil && next.Number().Cmp(old.Number()) > 0
}

// webURLs are those that can be downloaded from.
func webURLs(urls []string) []string {
	var out []string
	for _, u := range urls {
		if parsed, err := url.Parse(u); err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") {
			out = append(out, u)
		}
	}
	return out
}

// download gets the successor of a CRL from the first of its URLs that has one.
// An older one is not taken: a copy that lags behind is nothing wrong, and the
// CRL that is there stays.
func (a *app) download(ctx context.Context, client *http.Client, old heldCRL, urls []string) (*material.CRL, string, error) {
	var failed []error
	for _, u := range urls {
		next, err := successor(ctx, client, old, u)
		switch {
		case errors.Is(err, material.ErrOlder):
			a.warn(fmt.Sprintf("%s: %v; the newer one stays", u, err))
			return old.CRL, u, nil
		case err == nil:
			return next, u, nil
		case ctx.Err() != nil:
			return nil, "", err
		}
		failed = append(failed, fmt.Errorf("CRL %s from %s: %w", old.Name, u, err))
	}
	return nil, "", errors.Join(failed...)
}

// successor downloads a CRL and holds it to the one that it is to replace.
func successor(ctx context.Context, client *http.Client, old heldCRL, from string) (*material.CRL, error) {
	data, err := httpGet(ctx, client, from, material.MaxCRLSize)
	if err != nil {
		return nil, err
	}
	next, err := material.ParseCRL(old.Name, data, old.files[1].Data, old.files[0].Custom)
	if err != nil {
		return nil, err
	}
	return next, old.CheckSuccessor(next)
}

// httpGet reads what a URL serves, at most limit bytes.
func httpGet(ctx context.Context, client *http.Client, from string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &ociremote.TransportError{Host: req.URL.Host, Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &ociremote.TransportError{Host: req.URL.Host, Status: resp.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, &ociremote.TransportError{Host: req.URL.Host, Err: err}
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", material.ErrInvalid, limit)
	}
	return data, nil
}

func (r *crlRefreshResult) text(w io.Writer, _ *app) {
	if len(r.CRLs) == 0 {
		fmt.Fprintln(w, "there is no CRL to refresh")
	}
	for _, c := range r.CRLs {
		if c.Unchanged {
			fmt.Fprintf(w, "✓ %s, unchanged\n", c.line())
		} else {
			fmt.Fprintf(w, "+ %s\n", c.line())
		}
	}
}
