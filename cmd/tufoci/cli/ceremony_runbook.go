package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

type ceremonyRunbookResult struct {
	document
	TxID    string `json:"txid"`
	File    string `json:"file"`
	Runbook string `json:"runbook"`
}

func (a *app) newCeremonyRunbook() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "runbook FILE [-o FILE]",
		Short:   "Write a ceremony down for people: who signs what, how, with fields to tick",
		Example: "  tufoci ceremony runbook root-v4.tufc -o runbook.md",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			c, err := a.readCeremony(args[0])
			if err != nil {
				return err
			}
			text, err := c.Runbook(args[0])
			if err != nil {
				return err
			}
			if output != "" {
				if err := writeFile(output, []byte(text), 0o644); err != nil {
					return err
				}
			}
			return a.print(&ceremonyRunbookResult{TxID: c.TxID, File: output, Runbook: text})
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write it to `FILE`")
	return cmd
}

func (r *ceremonyRunbookResult) text(w io.Writer, _ *app) {
	if r.File == "" {
		fmt.Fprint(w, r.Runbook)
		return
	}
	fmt.Fprintf(w, "✓ %s\n", printable(r.File))
}
