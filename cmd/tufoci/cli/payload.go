package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type payloadResult struct {
	document
	payloadInfo
	Role string `json:"role"`
	File string `json:"file"`
}

// payloadInfo is what bytes to sign say of themselves.
type payloadInfo struct {
	Type    string `json:"type"`
	Version int64  `json:"version"`
	Expires moment `json:"expires"`
	SHA256  string `json:"sha256"`
}

func (a *app) newPayload() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "payload ROLE -o FILE",
		Short: "Write what the signatures of a staged role are over",
		Long: `Write the bytes to sign of a staged role, for a key that only another program or
another machine reaches: sign-payload, openssl, pkcs11-tool. The signature comes
back with add-signature.`,
		Example: "  tufoci payload root -o root.bin",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				payload, err := w.Payload(args[0])
				if err != nil {
					return err
				}
				info, err := metadata.ReadPayload(payload)
				if err != nil {
					return err
				}
				if err := writeFile(output, payload, 0o644); err != nil {
					return err
				}
				return a.print(&payloadResult{payloadInfo: newPayloadInfo(info), Role: args[0], File: output})
			})
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the bytes to `FILE`")
	_ = cmd.MarkFlagRequired("output") // it exists
	return cmd
}

func newPayloadInfo(p metadata.PayloadInfo) payloadInfo {
	return payloadInfo{Type: p.Type, Version: p.Version, Expires: moment{p.Expires}, SHA256: p.SHA256}
}

func (r *payloadResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ %s: %s v%d, sha256 %s\n", printable(r.File), printable(r.Role), r.Version, r.SHA256)
}
