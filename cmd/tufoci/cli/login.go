package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
)

type loginResult struct {
	document
	Registry string `json:"registry"`
	LoggedIn bool   `json:"loggedIn"`
}

func (a *app) newLogin() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Store credentials of a registry where docker keeps them",
		Example: `  tufoci login registry.acme.io -u ci --password-stdin < password
  tufoci login registry.acme.io`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := a.runLogin(ctx, args[0], &flags); err != nil {
			return err
		}
		return a.print(&loginResult{Registry: args[0], LoggedIn: true})
	})
	return cmd
}

func (a *app) runLogin(ctx context.Context, registry string, flags *registryFlags) error {
	o, err := a.clientOptions(ctx, flags)
	if err != nil {
		return err
	}
	if o.IdentityToken == "" && o.Password == "" {
		if o.Username == "" {
			if o.Username, err = a.question(ctx, "user", "--username"); err != nil {
				return err
			}
		}
		password, err := a.secret(ctx, "password of "+o.Username, envPassword+" or give --password-stdin")
		if err != nil {
			return err
		}
		o.Password = string(password)
	}
	client, err := ociremote.NewClient(o)
	if err != nil {
		return err
	}
	return client.Login(ctx, registry)
}

// question asks for a line. flag names what answers it where there is no
// terminal.
func (a *app) question(ctx context.Context, prompt, flag string) (string, error) {
	if !a.canAsk() {
		return "", usagef("a %s is needed and there is no terminal: give %s", prompt, flag)
	}
	fmt.Fprintf(a.world.Stderr, "%s: ", prompt)
	line, err := ask(ctx, func() ([]byte, error) { return a.stdin.ReadBytes('\n') })
	if err != nil && len(line) == 0 {
		return "", err
	}
	return strings.TrimSpace(string(line)), nil
}

func (r *loginResult) text(w io.Writer, _ *app) {
	if r.LoggedIn {
		fmt.Fprintf(w, "✓ logged in to %s\n", printable(r.Registry))
		return
	}
	fmt.Fprintf(w, "✓ logged out of %s\n", printable(r.Registry))
}
