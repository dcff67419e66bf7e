package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

type ceremonyReviewResult struct {
	document
	ceremonyInfo
	Base     ceremonyBase               `json:"base"`
	Diff     []roleDiff                 `json:"diff"`
	Payloads []rolePayload              `json:"payloads"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

// rolePayload names the bytes to sign of a role.
type rolePayload struct {
	Role   string `json:"role"`
	SHA256 string `json:"sha256"`
}

type reviewOptions struct {
	read             readFlags
	diff, raw        bool
	role, outputFile string
}

func (a *app) newCeremonyReview() *cobra.Command {
	var o reviewOptions
	cmd := &cobra.Command{
		Use:   "review FILE",
		Short: "Show what a ceremony would have you sign; needs no key and no workspace",
		Long: `Show what a ceremony changes, in words, who signs by which rules, and its txid.
The txid is computed from the bytes to sign. What the ceremony starts from is
compared with what is published, verified from --root, from a trust that has the
repository, or in a workspace of it; a difference is an error.

--diff shows the changes alone, --raw the metadata itself; -o writes the bytes to
sign, of all roles one behind the other, or those of --role.`,
		Example: `  tufoci ceremony review root-v4.tufc
  tufoci ceremony review root-v4.tufc --root 1.root.json
  tufoci ceremony review root-v4.tufc --role root -o root.bin`,
		Args: cobra.ExactArgs(1),
	}
	o.read.addCurrent(cmd, "")
	f := cmd.Flags()
	f.BoolVar(&o.diff, "diff", false, "show the changes alone, and compare nothing")
	f.BoolVar(&o.raw, "raw", false, "show the metadata that is to be signed")
	f.StringVar(&o.role, "role", "", "with -o: the bytes of this `ROLE`")
	f.StringVarP(&o.outputFile, "output", "o", "", "write the bytes to sign to `FILE`")
	cmd.MarkFlagsMutuallyExclusive("diff", "raw")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		c, err := a.readCeremony(args[0])
		if err != nil {
			return err
		}
		r, err := a.review(ctx, c, args[0], &o)
		if err != nil {
			return printAlso(a, r, err)
		}
		if err := o.write(c); err != nil {
			return err
		}
		if o.diff {
			return a.print(&diffResult{Roles: r.Diff})
		}
		return a.print(r)
	})
	return cmd
}

// review looks at a ceremony. With the error of a base that differs there is a result too.
func (a *app) review(ctx context.Context, c *ceremony.Ceremony, file string, o *reviewOptions) (*ceremonyReviewResult, error) {
	info, err := newCeremonyInfo(c, file)
	if err != nil {
		return nil, err
	}
	diffs, err := c.Diff()
	if err != nil {
		return nil, err
	}
	r := &ceremonyReviewResult{ceremonyInfo: info, Diff: newDiffResult(c, diffs).Roles, Payloads: []rolePayload{}, Metadata: map[string]json.RawMessage{}}
	for _, role := range c.Roles() {
		payload, err := c.Payload(role)
		if err != nil {
			return nil, err
		}
		p, err := metadata.ReadPayload(payload)
		if err != nil {
			return nil, err
		}
		r.Payloads = append(r.Payloads, rolePayload{role, p.SHA256})
	}
	if o.raw {
		files, err := c.Files()
		if err != nil {
			return nil, err
		}
		for _, f := range files.Next {
			r.Metadata[f.Role] = f.Data
		}
	}
	if o.diff {
		return r, nil
	}
	r.Base, err = a.compareBase(ctx, c, &o.read)
	return r, err
}

// write writes the bytes to sign.
func (o *reviewOptions) write(c *ceremony.Ceremony) error {
	if o.outputFile == "" {
		if o.role != "" {
			return usagef("--role goes with -o")
		}
		return nil
	}
	roles := c.Roles()
	if o.role != "" {
		roles = []string{o.role}
	}
	var out []byte
	for _, role := range roles {
		payload, err := c.Payload(role)
		if err != nil {
			return err
		}
		out = append(out, payload...)
	}
	return writeFile(o.outputFile, out, 0o644)
}

func (r *ceremonyReviewResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s\n%s of %s, tag %s, started %s\n", r.headline(), "ceremony", printable(r.Repository), printable(r.Channel), formatTime(r.Created.Time, a.world.Now()))
	fmt.Fprintf(w, "%s\n\n", r.Base)
	(&diffResult{Roles: r.Diff}).text(w, a)
	for _, role := range slices.Sorted(maps.Keys(r.Metadata)) {
		fmt.Fprintf(w, "\n%s\n", printable(role))
		writeMetadata(w, r.Metadata[role])
	}
	fmt.Fprintln(w)
	r.signatures(w)
	fmt.Fprintln(w)
	if len(r.Payloads) > 1 {
		for _, p := range r.Payloads {
			fmt.Fprintf(w, "bytes to sign of %s: sha256 %s\n", printable(p.Role), p.SHA256)
		}
	}
	fmt.Fprintf(w, "txid %s (%s)\n", r.Short, r.TxID)
}

// writeMetadata shows JSON of others, line by line.
func writeMetadata(w io.Writer, data []byte) {
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		out.Write(data)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		fmt.Fprintln(w, printable(line))
	}
}
