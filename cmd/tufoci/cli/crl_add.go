package cli

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

type crlChangeResult struct {
	document
	CRLs []crlFile `json:"crls"`
	verb string
}

type crlAddOptions struct {
	registry registryFlags
	cert     string
	name     string
	urls     []string
}

func (a *app) newCRLAdd() *cobra.Command {
	var o crlAddOptions
	cmd := &cobra.Command{
		Use:   "add FILE --cert ISSUER.pem",
		Short: "Stage a CRL with the certificate of its issuer",
		Long: `Stage a CRL (DER or PEM) with the certificate of its issuer: one of a trust store,
or one below it. Where certificates lie between the two, --cert has them too,
the issuer first. The signature is checked, and a CRL never takes the place of a
newer one, of one of another issuer, or of one for other certificates.

--url names the distribution points at which certificates look for it, and at
which crl refresh gets the next; those that the CRL itself names need not be
given. Without --url those that it has been given before stay.`,
		Example: `  tufoci crl add acme.crl --cert ca-2026.pem
  tufoci crl add ci.crl --cert ci-chain.pem --name acme-ci --url http://crl.acme.io/ci.crl`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&o.cert, "cert", "", "certificate `FILE` of the issuer, with those between it and a trust store")
	f.StringVar(&o.name, "name", "", "`NAME` of the CRL (default: that of the file, without its end)")
	f.StringArrayVar(&o.urls, "url", nil, "distribution point `URL` (several times)")
	o.registry.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.cert == "" {
			return usagef("give the certificate of the issuer: --cert ISSUER.pem")
		}
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			r, err := a.runCRLAdd(ctx, w, args[0], &o)
			if err != nil {
				return err
			}
			return a.print(r)
		})
	})
	return cmd
}

func (a *app) runCRLAdd(ctx context.Context, w *metadata.Workspace, path string, o *crlAddOptions) (*crlChangeResult, error) {
	name := o.name
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if _, err := material.CRLName(name); err != nil {
		return nil, &usageError{err: err}
	}
	list, err := readFile(path)
	if err != nil {
		return nil, err
	}
	issuer, err := readFile(o.cert)
	if err != nil {
		return nil, err
	}
	reader := a.newTargetReader(w, &o.registry)
	old, err := reader.crls(ctx, name)
	if err != nil && !errors.Is(err, metadata.ErrNoTarget) {
		return nil, err
	}
	custom, err := urlsCustom(o.urls)
	if err != nil {
		return nil, err
	}
	if custom == nil && len(old) > 0 {
		custom = old[0].files[0].Custom
	}
	c, err := material.ParseCRL(name, list, issuer, custom)
	if err != nil {
		return nil, err
	}
	if err := reader.checkCRL(ctx, c, old); err != nil {
		return nil, err
	}
	if len(c.URLs) == 0 {
		a.warn(fmt.Sprintf("CRL %s has no URL: neither `tufoci crl refresh` nor stock Notation can look for it; --url gives it one", name))
	}
	a.warnDates(c)
	staged, err := w.AddTargets(crlFiles(c, custom), "targets")
	if err != nil {
		return nil, err
	}
	return &crlChangeResult{CRLs: []crlFile{newCRLFile(c, staged[0].Staged)}, verb: "+"}, nil
}

// checkCRL refuses a CRL that is older than the one in its place, and one that
// no trust store stands behind.
func (r *targetReader) checkCRL(ctx context.Context, c *material.CRL, old []heldCRL) error {
	for _, o := range old {
		if err := o.CheckSuccessor(c); err != nil {
			return err
		}
	}
	files, err := r.material(ctx, isCertificate)
	if err != nil {
		return err
	}
	stores, err := material.Read(files)
	if err != nil {
		return err
	}
	return stores.CheckIssuer(c)
}

// crlFiles are the targets of a CRL: the list in DER, its issuer and what is
// above it in PEM.
func crlFiles(c *material.CRL, custom json.RawMessage) []metadata.TargetFile {
	issuer := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Issuer.Raw})
	for _, above := range c.Chain {
		issuer = append(issuer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: above.Raw})...)
	}
	targets := crlTargets(c.Name)
	return []metadata.TargetFile{{Path: targets[0], Data: c.List.Raw, Custom: custom}, {Path: targets[1], Data: issuer}}
}

func (r *crlChangeResult) text(w io.Writer, _ *app) {
	for _, c := range r.CRLs {
		fmt.Fprintf(w, "%s %s\n", r.verb, c.line())
	}
}
