package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
)

type ceremonySignOptions struct {
	review reviewOptions
	keys   []string
	output string
}

func (a *app) newCeremonySign() *cobra.Command {
	var o ceremonySignOptions
	cmd := &cobra.Command{
		Use:   "sign FILE --key URI [-o SIG]",
		Short: "Show a ceremony and, after a yes, sign it",
		Long: `Show what review shows and, after a yes, sign. The signature goes to SIG, which is
sent back to who started the ceremony, or into FILE itself. Needs no workspace.`,
		Example: "  tufoci ceremony sign root-v4.tufc --key file:root-b.pem -o root-b.sig",
		Args:    cobra.ExactArgs(1),
	}
	o.review.read.addCurrent(cmd, "")
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "key", nil, "`URI` of the key to sign with (several times)")
	f.StringVarP(&o.output, "output", "o", "", "write the signature to `SIG`, and leave FILE as it is")
	_ = cmd.MarkFlagRequired("key") // it exists
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runCeremonySign(ctx, args[0], &o)
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) runCeremonySign(ctx context.Context, file string, o *ceremonySignOptions) (*ceremonyResult, error) {
	c, err := a.readCeremony(file)
	if err != nil {
		return nil, err
	}
	review, err := a.review(ctx, c, file, &o.review)
	if review != nil && !a.global.quiet {
		review.text(a.world.Stderr, a)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.world.Stderr, "Read the txid aloud: %s\n", ceremony.Short(c.TxID))
	if err := a.confirm(ctx, "sign this?"); err != nil {
		return nil, err
	}
	keys, err := a.openKeys(ctx, o.keys)
	if err != nil {
		return nil, err
	}
	if o.output != "" {
		signed, err := c.Sign(ctx, keys...)
		if err != nil {
			return nil, err
		}
		if err := writeFile(o.output, signed, 0o644); err != nil {
			return nil, err
		}
		return a.resultOf(c, o.output, "✓ "+o.output)
	}
	shown := c.TxID
	c, err = a.changeCeremony(file, func(now *ceremony.Ceremony) error {
		if now.TxID != shown {
			return fmt.Errorf("%w: %s was changed while it was shown", ceremony.ErrOther, file)
		}
		_, err := now.Sign(ctx, keys...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.resultOf(c, file, "✓ "+file)
}
