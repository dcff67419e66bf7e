package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type signPayloadResult struct {
	document
	payloadInfo
	KeyID     string `json:"keyID"`
	Signature string `json:"signature"`
	File      string `json:"file"`

	detached []byte
}

func (a *app) newSignPayload() *cobra.Command {
	var key, output string
	cmd := &cobra.Command{
		Use:   "sign-payload FILE --key URI [-o SIG]",
		Short: "Sign what payload has written, on a machine without a workspace",
		Long: `Show what the bytes in FILE are and, after a yes, sign them. Only the bytes to
sign of TUF metadata are signed. The signature, with its key, is written to SIG,
or to standard output.`,
		Example: "  tufoci sign-payload root.bin --key file:root-b.pem -o root-b.sig",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			r, err := a.runSignPayload(ctx, args[0], key, output)
			if err != nil {
				return err
			}
			return a.print(r)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`URI` of the key to sign with")
	f.StringVarP(&output, "output", "o", "", "write the signature to `SIG`")
	_ = cmd.MarkFlagRequired("key") // it exists
	return cmd
}

func (a *app) runSignPayload(ctx context.Context, file, uri, output string) (*signPayloadResult, error) {
	payload, err := readFile(file)
	if err != nil {
		return nil, err
	}
	info, err := metadata.ReadPayload(payload)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	fmt.Fprintf(a.world.Stderr, "%s v%d\n  expires  %s\n  sha256   %s\n", info.Type, info.Version, formatTime(info.Expires, a.world.Now()), info.SHA256)
	if err := a.confirm(ctx, "sign this?"); err != nil {
		return nil, err
	}
	keys, err := a.openKeys(ctx, []string{uri})
	if err != nil {
		return nil, err
	}
	s, err := metadata.SignPayload(ctx, keys[0], payload)
	if err != nil {
		return nil, err
	}
	r := &signPayloadResult{payloadInfo: newPayloadInfo(info), KeyID: s.KeyID, Signature: hex.EncodeToString(s.Sig), File: output}
	if r.detached, err = s.Marshal(); err != nil || output == "" {
		return r, err
	}
	return r, writeFile(output, r.detached, 0o644)
}

func (r *signPayloadResult) text(w io.Writer, _ *app) {
	if r.File == "" {
		fmt.Fprintf(w, "%s", r.detached)
		return
	}
	fmt.Fprintf(w, "✓ %s: signature of key %s over %s v%d\n", printable(r.File), shorten(r.KeyID, 8), r.Type, r.Version)
}
