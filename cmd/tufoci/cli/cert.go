package cli

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCert() *cobra.Command {
	cmd := newGroup("cert", "Certificates: the trust stores of Notation",
		a.newCertAdd(), a.newCertList(), a.newCertShow(), a.newCertRemove())
	cmd.Aliases = []string{"certificate"}
	return cmd
}

// certFile is one file of a trust store.
type certFile struct {
	Target       string      `json:"target"`
	Type         string      `json:"type"`
	Store        string      `json:"store"`
	File         string      `json:"file"`
	Staged       bool        `json:"staged"`
	Certificates []storeCert `json:"certificates"`
}

// storeCert is one certificate of a file.
type storeCert struct {
	Subject   string `json:"subject"`
	Issuer    string `json:"issuer"`
	Serial    string `json:"serial"`
	SHA256    string `json:"sha256"`
	NotBefore moment `json:"notBefore"`
	NotAfter  moment `json:"notAfter"`
}

func newCertFile(t metadata.Target, certs []*x509.Certificate) certFile {
	kind, store, file, _ := material.ParseCertificateName(t.Path)
	out := certFile{Target: t.Path, Type: string(kind), Store: store, File: file, Staged: t.Staged, Certificates: []storeCert{}}
	for _, c := range certs {
		out.Certificates = append(out.Certificates, newStoreCert(c))
	}
	return out
}

func newStoreCert(c *x509.Certificate) storeCert {
	return storeCert{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), SHA256: material.SHA256(c),
		NotBefore: moment{c.NotBefore}, NotAfter: moment{c.NotAfter},
	}
}

// certSelection says which files of trust stores a command is about.
type certSelection struct {
	registry registryFlags
	kind     string
	store    string
}

func (s *certSelection) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&s.kind, "type", "t", "", "only stores of `TYPE`: ca, signingAuthority or tsa")
	cmd.Flags().StringVarP(&s.store, "store", "s", "", "only the store `NAME`")
}

// check refuses a type that there is none of: it would select nothing.
func (s *certSelection) check() error {
	if s.kind != "" && !slices.Contains(material.StoreTypes, material.StoreType(s.kind)) {
		return usagef("--type %q: there are ca, signingAuthority and tsa", s.kind)
	}
	return nil
}

// targets are the files that are selected. Each of names, which may be the name
// of a file or of its target, selects exactly one of them; without names all are.
func (s *certSelection) targets(w *metadata.Workspace, names []string) ([]metadata.Target, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	all, err := w.Targets(metadata.TargetFilter{Role: "targets"})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(t metadata.Target) bool {
		kind, store, _, ok := material.ParseCertificateName(t.Path)
		return !ok || s.kind != "" && s.kind != string(kind) || s.store != "" && s.store != store
	})
	if len(names) == 0 {
		return all, nil
	}
	var out []metadata.Target
	for _, name := range names {
		var found []metadata.Target
		for _, t := range all {
			if _, _, file, _ := material.ParseCertificateName(t.Path); file == name || t.Path == name {
				found = append(found, t)
			}
		}
		switch len(found) {
		case 0:
			return nil, fmt.Errorf("%w in the trust stores: %q", metadata.ErrNoTarget, name)
		case 1:
			out = append(out, found[0])
		default:
			return nil, usagef("%q is in %s: name the store with -t and -s", name, joinWords(paths(found)))
		}
	}
	return out, nil
}

func paths(targets []metadata.Target) []string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.Path
	}
	return out
}

// certFiles reads what is selected.
func (a *app) certFiles(ctx context.Context, w *metadata.Workspace, s *certSelection, names []string) ([]certFile, error) {
	targets, err := s.targets(w, names)
	if err != nil {
		return nil, err
	}
	reader := a.newTargetReader(w, &s.registry)
	files := []certFile{}
	for _, t := range targets {
		data, err := reader.read(ctx, t)
		if err != nil {
			return nil, err
		}
		kind, _, _, _ := material.ParseCertificateName(t.Path)
		certs, err := material.ParseCertificates(kind, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Path, err)
		}
		files = append(files, newCertFile(t, certs))
	}
	return files, nil
}

func writeCertTable(w io.Writer, files []certFile, a *app) {
	var rows [][]string
	for _, f := range files {
		name := f.File
		if f.Staged {
			name += " *"
		}
		for _, c := range f.Certificates {
			rows = append(rows, []string{f.Type, f.Store, name, c.Subject, shorten(c.SHA256, 12), formatTime(c.NotAfter.Time, a.world.Now())})
		}
	}
	table(w, []string{"TYPE", "STORE", "FILE", "SUBJECT", "SHA256", "EXPIRES"}, rows)
}
