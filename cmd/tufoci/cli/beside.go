package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// besideFlags say next to which images copies of a bundle are kept.
type besideFlags struct {
	repositories []string
}

func (b *besideFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&b.repositories, "beside", nil, "the copy in the image repository `REPO` too (several times)")
}

// besideCopy is what became of one copy.
type besideCopy struct {
	Repository string       `json:"repository"`
	Tag        string       `json:"tag"`
	Digest     string       `json:"digest"`
	From       int64        `json:"from"`
	To         int64        `json:"to"`
	Unchanged  bool         `json:"unchanged"`
	Created    bool         `json:"created"`
	Error      *errorReport `json:"error"`
}

// besideCopies opens image repositories to keep copies of home in them. Credentials
// of the command line and the environment are those of home's registry: no other
// one is sent them.
func (a *app) besideCopies(ctx context.Context, home ociremote.Reference, client *ociremote.Client, names []string, flags registryFlags) ([]publish.BesideCopy, error) {
	var other *ociremote.Client
	var copies []publish.BesideCopy
	for _, name := range names {
		ref, err := ociremote.ParseReference(name)
		if err != nil {
			return nil, err
		}
		if ref.Kind == home.Kind && ref.Host == home.Host && ref.Repository == home.Repository && ref.Path == home.Path {
			return nil, usagef("--beside %s: that is the trust repository itself", name)
		}
		c := publish.BesideCopy{Name: ref.Host + "/" + ref.Repository}
		use := client
		switch {
		case ref.Kind != ociremote.KindRegistry:
			c.Name = ref.Path
		case ref.Host == home.Host:
			c.MountFrom = home.Repository
		default:
			if other == nil {
				if other, err = a.anonymousClient(ctx, flags); err != nil {
					return nil, err
				}
			}
			use = other
		}
		if c.Repository, err = openWritable(ctx, use, ref); err != nil {
			return nil, err
		}
		copies = append(copies, c)
	}
	return copies, nil
}

// anonymousClient is a client for other registries than the one that the flags speak
// of: with the credentials of the registry configuration only.
func (a *app) anonymousClient(ctx context.Context, flags registryFlags) (*ociremote.Client, error) {
	flags.username, flags.password, flags.passwordStdin = "", "", false
	flags.identityToken, flags.identityTokenStdin, flags.headers = "", false, nil
	flags.certFile, flags.keyFile = "", ""
	o, err := a.clientOptions(ctx, &flags)
	if err != nil {
		return nil, err
	}
	o.Username, o.Password, o.IdentityToken = "", "", "" // of the environment
	return ociremote.NewClient(o)
}

// newBesideCopies reports copies. The first failure is the error.
func (a *app) newBesideCopies(results []publish.BesideResult) ([]besideCopy, error) {
	out := make([]besideCopy, 0, len(results))
	var failed error
	for _, r := range results {
		c := besideCopy{
			Repository: r.Name, Tag: r.Tag, Digest: r.Digest.String(), From: r.From, To: r.To,
			Unchanged: r.Unchanged, Created: r.Created,
		}
		if r.Err != nil {
			c.Error = a.report(r.Err)
			if failed == nil {
				failed = fmt.Errorf("the copy beside %s: %w", r.Name, r.Err)
			}
		}
		out = append(out, c)
	}
	return out, failed
}

func writeBesideCopies(w io.Writer, copies []besideCopy) {
	for _, c := range copies {
		where := printable(c.Repository + ":" + c.Tag)
		switch {
		case c.Error != nil:
			fmt.Fprintf(w, "✗ beside %s: %s\n", where, printable(c.Error.What))
		case c.Unchanged:
			fmt.Fprintf(w, "✓ beside %s: timestamp %s, unchanged\n", where, formatVersion(c.To))
		default:
			fmt.Fprintf(w, "✓ beside %s: timestamp %s\n", where, roleChange{From: c.From, To: c.To}.versions())
		}
	}
}
