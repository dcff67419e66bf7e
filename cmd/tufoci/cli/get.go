package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

type getResult struct {
	document
	reading
	verifiedTarget
	Digest string `json:"digest"`
	Output string `json:"output"`
}

func (a *app) newGet() *cobra.Command {
	var flags readFlags
	var output string
	cmd := &cobra.Command{
		Use:   "get TRUST|SOURCE PATH",
		Short: "Print or save one verified target; of an image name, its signed digest",
		Example: `  tufoci get acme sigstore/trusted_root.json -o trusted_root.json
  tufoci get acme images/shop/api:1.4.2
  tufoci get registry.acme.io/trust/tuf policy.json --root 1.root.json`,
		Args: cobra.ExactArgs(2),
	}
	flags.add(cmd, "")
	flags.addAllowExpired(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the target to `FILE`, whole or not at all")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.runGet(ctx, args[0], args[1], output, &flags)
	})
	return cmd
}

func (a *app) runGet(ctx context.Context, from, path, output string, flags *readFlags) error {
	a.subject.targets = []string{path}
	view, err := a.view(ctx, from, flags)
	if err != nil {
		return err
	}
	data, target, err := view.Get(ctx, path)
	isImage := errors.Is(err, trust.ErrImageTarget) && target != nil
	if err != nil && !isImage {
		return err
	}
	if isImage {
		data = []byte("sha256:" + target.Hashes["sha256"] + "\n")
	}
	if a.global.format == formatJSON && output == "" && !isImage {
		return usagef("--format json needs -o FILE for the target: standard output holds one JSON document")
	}
	if output != "" {
		if err := writeFile(output, data, 0o644); err != nil {
			return err
		}
	}
	if a.global.format == formatText && output == "" {
		_, err := io.Copy(a.world.Stdout, bytes.NewReader(data))
		return err
	}
	return a.print(&getResult{
		reading: newReading(view), verifiedTarget: newVerifiedTarget(*target),
		Digest: "sha256:" + target.Hashes["sha256"], Output: output,
	})
}

func (r *getResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ %s: %d bytes, %s v%d -> %s\n", printable(r.Path), r.Length, printable(r.Role), r.RoleVersion, printable(r.Output))
}
