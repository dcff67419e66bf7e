package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type roleSetResult struct {
	document
	Roles []roleInfo `json:"roles"`
}

func (a *app) newRoleSet() *cobra.Command {
	var edit metadata.RoleEdit
	var expires, renewWithin span
	cmd := &cobra.Command{
		Use:   "set ROLE[,ROLE...]",
		Short: "Stage other keys, another threshold or other periods of roles",
		Example: `  tufoci role set root --add-key root-a --add-key root-b --add-key root-c --threshold 2
  tufoci role set snapshot,timestamp --add-key online`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.IntVar(&edit.Threshold, "threshold", 0, "signatures needed")
	f.Var(&expires, "expires", "life of a new version")
	f.Var(&renewWithin, "renew-within", "remaining life below which the role is signed again")
	f.StringArrayVar(&edit.AddKeys, "add-key", nil, "key `NAME` to add (several times)")
	f.StringArrayVar(&edit.RemoveKeys, "rm-key", nil, "key `NAME` to remove (several times)")
	f.BoolVar(&edit.NoSpareKey, "no-spare-key", false, "let root have no more keys than its threshold; recorded in tufoci.yaml")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		edit.Expires, edit.RenewWithin = time.Duration(expires), time.Duration(renewWithin)
		if f.Changed("threshold") && edit.Threshold < 1 {
			return usagef("--threshold %d: want a number above 0", edit.Threshold)
		}
		if !slices.ContainsFunc([]string{"threshold", "expires", "renew-within", "add-key", "rm-key", "no-spare-key"}, f.Changed) {
			return usagef("say what to change in %s: --threshold, --expires, --renew-within, --add-key, --rm-key or --no-spare-key", args[0])
		}
		names := strings.Split(args[0], ",")
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			if err := w.SetRole(names, edit); err != nil {
				return err
			}
			r := &roleSetResult{Roles: make([]roleInfo, 0, len(names))}
			for _, name := range names {
				role, err := w.Role(name)
				if err != nil {
					return err
				}
				r.Roles = append(r.Roles, newRoleInfo(*role))
			}
			return a.print(r)
		})
	})
	return cmd
}

func (r *roleSetResult) text(w io.Writer, _ *app) {
	for _, i := range r.Roles {
		fmt.Fprintf(w, "%s: needs %d of {%s}, life %s, renewed within %s\n",
			printable(i.Role), i.Threshold, printable(joinKeys(i.Keys)), i.Period, i.RenewWithin)
	}
}
