package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
)

func (a *app) newLogout() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:     "logout REGISTRY",
		Short:   "Remove the stored credentials of a registry",
		Example: "  tufoci logout registry.acme.io",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			client, err := ociremote.NewClient(ociremote.Options{
				RegistryConfig: a.registryConfig(config),
				UserAgent:      userAgent(),
				Warn:           a.warn,
			})
			if err != nil {
				return err
			}
			if err := client.Logout(ctx, args[0]); err != nil {
				return err
			}
			return a.print(&loginResult{Registry: args[0]})
		}),
	}
	cmd.Flags().StringVar(&config, "registry-config", "", "credentials `FILE` (default: that of docker)")
	return cmd
}
