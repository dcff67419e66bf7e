package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

type roleAddOptions struct {
	delegation           metadata.DelegationOptions
	bins                 metadata.BinsOptions
	expires, renewWithin span
}

type roleAddResult struct {
	document
	roleInfo
}

func (a *app) newRoleAdd() *cobra.Command {
	var o roleAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Stage a new delegated role, or the hash bins of image entries",
		Long: `Stage a new role to which another one delegates paths. In a pattern * stops
at /.

  --image shop/api   the entries of one image repository
  --image 'shop/*'   those of every repository one level below shop
  --path 'charts/*'  other targets

The role revocations has the path revocations/* and no other: what it lists can
only deny, so that a key on call can have it.

With --bins N the role images is made, whose entries are spread over N roles.`,
		Example: `  tufoci role add apps-shop --image 'shop/*' --key shop
  tufoci role add images --bins 256 --key rel --bin-key online
  tufoci role add revocations --key oncall`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	d := &o.delegation
	f.StringArrayVar(&d.Images, "image", nil, "image `REPOSITORY`, or 'dir/*' (several times)")
	f.StringArrayVar(&d.Paths, "path", nil, "path `PATTERN` (several times)")
	f.StringArrayVar(&d.Keys, "key", nil, "key `NAME` of the role (several times)")
	f.IntVar(&d.Threshold, "threshold", 1, "signatures needed")
	f.StringVar(&d.Parent, "parent", "targets", "`ROLE` that delegates")
	f.BoolVar(&d.Terminating, "terminating", false, "end the search here for the paths of this role")
	f.Var(&o.expires, "expires", "life of a new version")
	f.Var(&o.renewWithin, "renew-within", "remaining life below which the role is signed again")
	f.IntVar(&o.bins.Bins, "bins", 0, "spread image entries over `N` roles, a power of two up to 256")
	f.StringArrayVar(&o.bins.BinKeys, "bin-key", nil, "key `NAME` of the bins (several times)")
	f.StringVar(&o.bins.Prefix, "bin-prefix", "", "start of the bins' names")
	cmd.MarkFlagsRequiredTogether("bins", "bin-key")
	for _, other := range []string{"image", "path", "parent", "terminating", "threshold", "expires", "renew-within"} {
		cmd.MarkFlagsMutuallyExclusive("bins", other)
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			if err := o.add(w, args[0]); err != nil {
				return err
			}
			role, err := w.Role(args[0])
			if err != nil {
				return err
			}
			return a.print(&roleAddResult{roleInfo: newRoleInfo(*role)})
		})
	})
	return cmd
}

func (o roleAddOptions) add(w *metadata.Workspace, name string) error {
	d, b := o.delegation, o.bins
	if len(d.Keys) == 0 {
		return usagef("give the role a key with --key")
	}
	if b.Bins != 0 {
		b.Name, b.Keys = name, d.Keys
		return w.AddBins(b)
	}
	if len(d.Images)+len(d.Paths) == 0 && name != publish.RevocationsRole {
		return usagef("give the role its paths with --image or --path")
	}
	if d.Threshold < 1 {
		return usagef("--threshold %d: want a number above 0", d.Threshold)
	}
	d.Name, d.Expires, d.RenewWithin = name, time.Duration(o.expires), time.Duration(o.renewWithin)
	return w.AddDelegation(d)
}

func (r *roleAddResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "staged in %s: %s may list %s; needs %d of {%s}\n",
		printable(r.Parent), printable(r.Role), printable(r.reach()), r.Threshold, printable(joinKeys(r.Keys)))
}
