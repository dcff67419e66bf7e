package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
)

func (a *app) newCeremonyAdd() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "add FILE SIG...",
		Short: "Add signatures that came back to a ceremony",
		Long: `Add signatures to FILE: what sign -o wrote, copies of FILE that were signed, what
sign-payload wrote, in any order and any number of times; with --key one that
openssl or pkcs11-tool wrote. Each is verified. A bad one among them adds none.`,
		Example: `  tufoci ceremony add root-v4.tufc root-a.sig root-d.sig
  tufoci ceremony add root-v4.tufc root-b.der --key root-b`,
		Args: cobra.MinimumNArgs(2),
		RunE: a.run(func(_ context.Context, args []string) error {
			r, err := a.runCeremonyAdd(args[0], args[1:], key)
			if err != nil {
				return err
			}
			return a.print(r)
		}),
	}
	cmd.Flags().StringVar(&key, "key", "", "`NAME` or ID of the key, of a signature that does not say by which it is")
	return cmd
}

func (a *app) runCeremonyAdd(file string, signatures []string, key string) (*ceremonyResult, error) {
	if key != "" && len(signatures) > 1 {
		return nil, usagef("--key names the key of one signature, and %d are given", len(signatures))
	}
	var done []string
	c, err := a.changeCeremony(file, func(c *ceremony.Ceremony) error {
		for _, name := range signatures {
			data, err := readFile(name)
			if err != nil {
				return err
			}
			roles, err := c.Add(data, key)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			done = append(done, name+" ("+strings.Join(roles, ", ")+")")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.resultOf(c, file, "✓ "+strings.Join(done, "   ✓ "))
}
