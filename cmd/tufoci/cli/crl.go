package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCRL() *cobra.Command {
	return newGroup("crl", "CRLs: certificates that their issuers have revoked",
		a.newCRLAdd(), a.newCRLRefresh(), a.newCRLList(), a.newCRLRemove())
}

// crlFile is a CRL of the workspace.
type crlFile struct {
	Name       string   `json:"name"`
	Issuer     string   `json:"issuer"`
	Number     string   `json:"number"`
	Base       string   `json:"base"`
	ThisUpdate moment   `json:"thisUpdate"`
	NextUpdate moment   `json:"nextUpdate"`
	Revoked    int      `json:"revoked"`
	URLs       []string `json:"urls"`
	Staged     bool     `json:"staged"`
}

func newCRLFile(c *material.CRL, staged bool) crlFile {
	return crlFile{
		Name: c.Name, Issuer: c.Issuer.Subject.String(), Number: number(c.Number()), Base: number(c.BaseNumber),
		ThisUpdate: moment{c.List.ThisUpdate}, NextUpdate: moment{c.List.NextUpdate},
		Revoked: len(c.List.RevokedCertificateEntries), URLs: append([]string{}, c.URLs...), Staged: staged,
	}
}

// number prints the number of a CRL, "" where it has none. It has up to 20
// octets: text, not a number of JSON.
func number(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.String()
}

// heldCRL is a CRL of the workspace with its bytes.
type heldCRL struct {
	*material.CRL
	files  [2]material.File // the list, and its issuer
	staged bool
}

// crls reads the CRLs of the workspace by name, all or those named.
func (r *targetReader) crls(ctx context.Context, names ...string) ([]heldCRL, error) {
	targets, err := reserved(r.ws)
	if err != nil {
		return nil, err
	}
	byPath := map[string]metadata.Target{}
	var all []string
	for _, t := range targets {
		byPath[t.Path] = t
		if name, issuer, ok := material.ParseCRLName(t.Path); ok && !issuer {
			all = append(all, name)
		}
	}
	if len(names) == 0 {
		names = all
	}
	var out []heldCRL
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%w: there is no CRL %q", metadata.ErrNoTarget, name)
		}
		c, err := r.crl(ctx, byPath, name)
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	return out, nil
}

// crl reads one CRL and its issuer.
func (r *targetReader) crl(ctx context.Context, targets map[string]metadata.Target, name string) (*heldCRL, error) {
	c := &heldCRL{}
	for i, target := range crlTargets(name) {
		t, ok := targets[target]
		if !ok {
			return nil, fmt.Errorf("%w: CRL %s lacks %s; add it again", material.ErrInvalid, name, target)
		}
		data, err := r.read(ctx, t)
		if err != nil {
			return nil, err
		}
		c.files[i] = material.File{Name: target, Data: data, Custom: t.Custom}
		c.staged = c.staged || t.Staged
	}
	var err error
	c.CRL, err = material.ParseCRL(name, c.files[0].Data, c.files[1].Data, c.files[0].Custom)
	return c, err
}

// crlTargets are the targets of a CRL, its list and its issuer. The name is one.
func crlTargets(name string) [2]string {
	list, _ := material.CRLName(name)
	issuer, _ := material.IssuerName(name)
	return [2]string{list, issuer}
}

// urlsCustom is the custom object of a CRL with its URLs; nil for none.
func urlsCustom(urls []string) (json.RawMessage, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	return json.Marshal(map[string]any{"tufoci": map[string]any{"urls": urls}})
}

// warnDates says of a CRL that it ends soon, or has ended.
func (a *app) warnDates(c *material.CRL) {
	if now := a.world.Now(); !c.Current(now) {
		a.warn(fmt.Sprintf("CRL %s is for %s to %s: clients show it as stale, and stock Notation does not take it", c.Name,
			c.List.ThisUpdate.UTC().Format("2006-01-02T15:04Z"), formatTime(c.List.NextUpdate, now)))
	}
}

// line says which CRL that is.
func (c crlFile) line() string {
	words := []string{c.Name}
	if c.Number != "" {
		words = append(words, "number "+c.Number)
	}
	if c.Base != "" {
		words = append(words, "delta on "+c.Base)
	}
	return printable(strings.Join(append(words, fmt.Sprintf("%d revoked", c.Revoked), c.Issuer), "   "))
}
