package cli

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/notationsign"
)

// cmdAuthority is "authority NAME": NAME.pem is a new certificate authority, NAME.crl
// its CRL.
func cmdAuthority(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "authority NAME")
	authority, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: args[0]})
	ts.Check(err)
	crl, err := authority.CRL(notationsign.CRLOptions{Number: 1})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), authority.PEM(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crl"), crl, 0o600))
}
