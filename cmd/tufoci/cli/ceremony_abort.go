package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

type ceremonyAbortResult struct {
	document
	TxID    string   `json:"txid"`
	Message string   `json:"message"`
	Roles   []string `json:"roles"`
}

func (a *app) newCeremonyAbort() *cobra.Command {
	return &cobra.Command{
		Use:   "abort FILE|TXID",
		Short: "End a ceremony without its signatures; what is staged stays",
		Long: `End a ceremony in the workspace where it was started: its roles can be edited
again. What is staged stays, and so does FILE. Where the file is lost, the txid
that status shows names it.`,
		Example: "  tufoci ceremony abort root-v4.tufc",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				f, err := a.openCeremony(w, args[0])
				if err != nil {
					return err
				}
				if err := ceremony.Abort(w, f.ID); err != nil {
					return err
				}
				r := &ceremonyAbortResult{TxID: f.ID, Message: f.Message, Roles: []string{}}
				for _, role := range f.Roles {
					r.Roles = append(r.Roles, role.Role)
				}
				return a.print(r)
			})
		}),
	}
}

// openCeremony finds what is frozen by a ceremony's file or txid.
func (a *app) openCeremony(w *metadata.Workspace, name string) (metadata.Freeze, error) {
	txid := name
	switch c, err := a.readCeremony(name); {
	case err == nil:
		txid = c.TxID
	case !errors.Is(err, fs.ErrNotExist):
		return metadata.Freeze{}, err
	}
	for _, f := range w.Frozen() {
		if ceremony.Names(txid, f.ID) {
			return f, nil
		}
	}
	return metadata.Freeze{}, fmt.Errorf("%w: %s", metadata.ErrNotFrozen, name)
}

func (r *ceremonyAbortResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ ceremony %s is over: %s can be edited again; what is staged stays\n", ceremony.Short(r.TxID), printable(strings.Join(r.Roles, ", ")))
}
