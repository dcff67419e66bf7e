package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCeremony() *cobra.Command {
	return newGroup("ceremony", "Sign together: one frozen file that several people sign, in any order",
		a.newCeremonyStart(), a.newCeremonyReview(), a.newCeremonySign(), a.newCeremonyAdd(), a.newCeremonyStatus(),
		a.newCeremonyApply(), a.newCeremonyAbort(), a.newCeremonyRunbook())
}

// ceremonyInfo is a ceremony, with the signatures that it has.
type ceremonyInfo struct {
	TxID       string           `json:"txid"`
	Short      string           `json:"shortTxid"`
	Message    string           `json:"message"`
	Repository string           `json:"repository"`
	Channel    string           `json:"channel"`
	Created    moment           `json:"created"`
	File       string           `json:"file"`
	Complete   bool             `json:"complete"`
	Roles      []roleSignatures `json:"roles"`
}

func newCeremonyInfo(c *ceremony.Ceremony, file string) (ceremonyInfo, error) {
	signed, err := c.Signatures()
	out := ceremonyInfo{
		TxID: c.TxID, Short: ceremony.Short(c.TxID), Message: c.Message, Repository: c.Repository, Channel: c.Channel,
		Created: moment{c.Created}, File: file, Complete: true, Roles: make([]roleSignatures, 0, len(signed)),
	}
	for _, s := range signed {
		r := newRoleSignatures(s)
		out.Complete = out.Complete && r.Complete
		out.Roles = append(out.Roles, r)
	}
	return out, err
}

// readCeremony reads a ceremony file. What later fails is about this file.
func (a *app) readCeremony(file string) (*ceremony.Ceremony, error) {
	a.subject.file = file
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	c, err := ceremony.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// changeCeremony changes a ceremony file while no other process here does, and writes it if there is something to write.
func (a *app) changeCeremony(file string, change func(*ceremony.Ceremony) error) (c *ceremony.Ceremony, err error) {
	unlock, err := ceremony.Lock(file, a.stateDir())
	if err != nil {
		return nil, err
	}
	defer func() {
		if unlocking := unlock(); err == nil {
			err = unlocking
		}
	}()
	if c, err = a.readCeremony(file); err != nil {
		return nil, err
	}
	before, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	if err := change(c); err != nil {
		return nil, err
	}
	after, err := c.Marshal()
	if err != nil || bytes.Equal(before, after) {
		return c, err
	}
	return c, writeFile(file, after, 0o644)
}

// headline is the ceremony in one line.
func (i *ceremonyInfo) headline() string {
	roles := make([]string, len(i.Roles))
	for k, r := range i.Roles {
		roles[k] = fmt.Sprintf("%s v%d", printable(r.Role), r.Version)
	}
	return fmt.Sprintf("%s   txid %s   %q", strings.Join(roles, ", "), i.Short, i.Message)
}

// signatures is the table of who has signed, by each rule.
func (i *ceremonyInfo) signatures(w io.Writer) {
	for _, r := range i.Roles {
		fmt.Fprintf(w, "%s v%d\n", printable(r.Role), r.Version)
		r.table(w)
	}
}

func (r roleSignatures) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header, needs := []string{"", ""}, []string{"", ""}
	var keys []keyRef
	for k, rule := range r.Rules {
		header = append(header, "by rules of "+printable(rule.By)+r.side(k))
		mark := ""
		if rule.Have >= rule.Need {
			mark = " ✓"
		}
		needs = append(needs, fmt.Sprintf("need %d, have %d%s", rule.Need, rule.Have, mark))
		for _, key := range rule.Keys {
			if !slices.ContainsFunc(keys, func(known keyRef) bool { return known.ID == key.ID }) {
				keys = append(keys, key)
			}
		}
	}
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, key := range keys {
		row := []string{printable(first(key.Name, "-")), printable(shorten(key.ID, 16))}
		for k, rule := range r.Rules {
			row = append(row, rule.mark(key.ID, k, len(r.Rules)))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if r.Complete {
		needs = append(needs, "ready")
	}
	fmt.Fprintln(t, strings.Join(needs, "\t"))
	t.Flush()
}

// side tells the two rules of a root apart.
func (r roleSignatures) side(i int) string {
	if len(r.Rules) != 2 || r.Role != "root" {
		return ""
	}
	return []string{" (old)", " (new)"}[i]
}

// mark says of one key what it is under a rule.
func (r signatureRule) mark(id string, i, n int) string {
	k := slices.IndexFunc(r.Keys, func(key keyRef) bool { return key.ID == id })
	switch {
	case k >= 0 && r.Keys[k].Signed:
		return "✓"
	case k >= 0:
		return "-"
	case i < n-1:
		return "(not yet)"
	}
	return "(removed)"
}

// warnSilent warns of keys that a root newly takes and that have not signed it.
func (a *app) warnSilent(c *ceremony.Ceremony) ([]keyRef, error) {
	silent, err := c.Silent()
	for _, k := range silent {
		a.warn(fmt.Sprintf("new key %s has not signed: nothing shows that somebody holds it", k))
	}
	return keyRefs(silent), err
}

// ceremonyResult is a ceremony after something was done with it.
type ceremonyResult struct {
	document
	ceremonyInfo
	Silent []keyRef `json:"silent"`

	done string
}

func (r *ceremonyResult) text(w io.Writer, _ *app) {
	if r.done != "" {
		fmt.Fprintln(w, printable(r.done))
	}
	r.signatures(w)
}

// resultOf reports a ceremony.
func (a *app) resultOf(c *ceremony.Ceremony, file, done string) (*ceremonyResult, error) {
	info, err := newCeremonyInfo(c, file)
	return &ceremonyResult{ceremonyInfo: info, Silent: []keyRef{}, done: done}, err
}

// withCeremony opens the workspace of a ceremony.
func (a *app) withCeremony(ctx context.Context, file string, do func(*metadata.Workspace, *ceremony.Ceremony) error) error {
	c, err := a.readCeremony(file)
	if err != nil {
		return err
	}
	return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error { return do(w, c) })
}
