package cli

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

type certChangeResult struct {
	document
	Files []certFile `json:"files"`
	verb  string
}

func (a *app) newCertAdd() *cobra.Command {
	var kind, store string
	cmd := &cobra.Command{
		Use:   "add -t TYPE -s STORE FILE...",
		Short: "Stage certificates of a trust store",
		Long: `Stage files of certificates (PEM, or one in DER) for a trust store of Notation,
each under its own name. What Notation would refuse is refused here: each
certificate is a CA or self-signed, those of timestamp authorities are roots.
A file never takes the place of another one: remove that first, when nothing
that counts is signed under it any more.`,
		Example: `  tufoci cert add -t ca -s acme ca-2026.pem
  tufoci cert add -t tsa -s acme tsa-root.pem`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			if kind == "" || store == "" {
				return usagef("name the trust store: -t ca|signingAuthority|tsa -s STORE")
			}
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				r, err := a.runCertAdd(w, material.StoreType(kind), store, args)
				if err != nil {
					return err
				}
				return a.print(r)
			})
		}),
	}
	cmd.Flags().StringVarP(&kind, "type", "t", "", "`TYPE` of the store: ca, signingAuthority or tsa")
	cmd.Flags().StringVarP(&store, "store", "s", "", "`NAME` of the store")
	return cmd
}

func (a *app) runCertAdd(w *metadata.Workspace, kind material.StoreType, store string, args []string) (*certChangeResult, error) {
	there, err := w.Targets(metadata.TargetFilter{Role: "targets"})
	if err != nil {
		return nil, err
	}
	var files []metadata.TargetFile
	parsed := map[string][]*x509.Certificate{}
	for _, path := range args {
		name, err := material.CertificateName(kind, store, filepath.Base(path))
		if err != nil {
			return nil, &usageError{err: err}
		}
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		certs, err := material.ParseCertificates(kind, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f := metadata.TargetFile{Path: name, Data: data}
		if err := checkFree(there, f); err != nil {
			return nil, err
		}
		parsed[name] = certs
		files = append(files, f)
	}
	added, err := w.AddTargets(files, "targets")
	if err != nil {
		return nil, err
	}
	r := &certChangeResult{verb: "+"}
	for _, t := range added {
		a.warnExpired(t.Path, parsed[t.Path])
		r.Files = append(r.Files, newCertFile(t, parsed[t.Path]))
	}
	return r, nil
}

// checkFree refuses to put a file in the place of another one: a certificate
// would be withdrawn without a word.
func checkFree(there []metadata.Target, f metadata.TargetFile) error {
	i := slices.IndexFunc(there, func(t metadata.Target) bool { return t.Path == f.Path })
	if i < 0 || there[i].SHA256 == digest.FromBytes(f.Data).Encoded() {
		return nil
	}
	return usagef("%s is there with other certificates: give the file another name, or remove that one first with `tufoci cert rm`", f.Path)
}

func (a *app) warnExpired(name string, certs []*x509.Certificate) {
	for _, c := range certs {
		if a.world.Now().After(c.NotAfter) {
			a.warn(fmt.Sprintf("%s: %s expired %s", name, c.Subject, formatTime(c.NotAfter, a.world.Now())))
		}
	}
}

func (r *certChangeResult) text(w io.Writer, _ *app) {
	for _, f := range r.Files {
		fmt.Fprintf(w, "%s %s   %s\n", r.verb, f.Target, count(len(f.Certificates), "certificate"))
		for _, c := range f.Certificates {
			fmt.Fprintf(w, "    %s   sha256:%s\n", printable(c.Subject), c.SHA256)
		}
	}
}
