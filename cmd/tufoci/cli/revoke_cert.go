package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newRevokeCertificate() *cobra.Command {
	var o revokeFlags
	cmd := &cobra.Command{
		Use:     "cert sha256:HEX|FILE",
		Aliases: []string{"certificate"},
		Short:   "Stage the revocation of a certificate: all its signatures are refused",
		Long: `Stage the revocation of one certificate, named by the SHA-256 of its DER or by a
file that holds it (PEM or DER): a leaf, or any other of a chain. All signatures
that it made are refused, also those made before.`,
		Example: `  tufoci revoke cert sha256:... --reason key-compromise
  tufoci revoke cert leaf.pem --reason key-compromise --role revocations`,
		Args: cobra.ExactArgs(1),
	}
	o.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			sum, err := certificateSum(args[0])
			if err != nil {
				return err
			}
			r, err := a.revoke(ctx, w, &material.Revocations{
				Certificates: []material.RevokedCertificate{{SHA256: sum, Reason: o.reason, Time: a.revocationTime()}},
			}, &o)
			if err != nil {
				return err
			}
			return a.printChange(r, o.exitCode && r.Unchanged)
		})
	})
	return cmd
}

// certificateSum is the hex sha256 of a certificate that is named by it, or that a file holds.
func certificateSum(arg string) (string, error) {
	if checksumForm.MatchString(arg) {
		return strings.TrimPrefix(arg, "sha256:"), nil
	}
	if strings.HasPrefix(arg, "sha256:") {
		return "", usagef("%q: want sha256: and 64 lower-case hex digits", arg)
	}
	data, err := readFile(arg)
	if err != nil {
		return "", err
	}
	der := data
	if block, rest := pem.Decode(data); block != nil {
		if more, _ := pem.Decode(rest); more != nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return "", usagef("%s: want a file with one certificate; a chain does not say which is meant", arg)
		}
		der = block.Bytes
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "", usagef("%s: want sha256:HEX, or a file with one certificate: %v", arg, err)
	}
	return material.IssuedSHA256(c), nil
}
