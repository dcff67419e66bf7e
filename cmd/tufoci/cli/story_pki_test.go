package cli

import (
	"crypto/x509"
	"flag"
	"io"
	"math/big"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/notationsign"
)

// pki are the authorities of one script, and their leafs, by name.
type pki struct {
	authorities map[string]*notationsign.Authority
	leafs       map[string]*x509.Certificate
}

// cmdPKI makes certificates and CRLs:
//
//	pki root NAME [-past]            NAME.pem
//	pki intermediate NAME PARENT     NAME.pem
//	pki leaf NAME PARENT             NAME.pem
//	pki crl NAME AUTHORITY [-n NUMBER] [-entries N] [-past] [LEAF...]   NAME.crl, which revokes the leafs, and N others
func (s *story) cmdPKI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pki root|intermediate|leaf|crl NAME ...")
	}
	if s.pki == nil {
		s.pki = &pki{authorities: map[string]*notationsign.Authority{}, leafs: map[string]*x509.Certificate{}}
	}
	kind, name, rest := args[0], args[1], args[2:]
	parent := ""
	if kind != "root" {
		if len(rest) == 0 || s.pki.authorities[rest[0]] == nil {
			ts.Fatalf("no such authority: %q", rest)
		}
		parent, rest = rest[0], rest[1:]
	}
	flags := flag.NewFlagSet("pki", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	number := flags.Int64("n", 1, "")
	entries := flags.Int64("entries", 0, "")
	past := flags.Bool("past", false, "") // it has ended a minute ago
	ts.Check(flags.Parse(rest))
	until := time.Now().AddDate(0, 0, 30)
	if *past {
		until = time.Now().Add(-time.Minute)
	}
	if kind == "crl" {
		der, err := s.pki.crl(s.pki.authorities[parent], *number, *entries, until, flags.Args())
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name+".crl"), der, 0o644))
		return
	}
	cert, err := s.pki.certificate(kind, name, s.pki.authorities[parent], until)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), notationsign.EncodePEM(cert), 0o644))
}

func (p *pki) certificate(kind, name string, parent *notationsign.Authority, until time.Time) (*x509.Certificate, error) {
	o := notationsign.CertificateOptions{Name: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	var a *notationsign.Authority
	var err error
	switch kind {
	case "root":
		a, err = notationsign.NewRoot(o)
	case "intermediate":
		a, err = parent.Intermediate(o)
	default:
		leaf, err := parent.Leaf(o)
		if err != nil {
			return nil, err
		}
		p.leafs[name] = leaf.Chain[0]
		return leaf.Chain[0], nil
	}
	if err != nil {
		return nil, err
	}
	p.authorities[name] = a
	return a.Certificate, nil
}

func (p *pki) crl(by *notationsign.Authority, number, entries int64, until time.Time, leafs []string) ([]byte, error) {
	o := notationsign.CRLOptions{Number: number, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for n := range entries {
		o.Entries = append(o.Entries, x509.RevocationListEntry{SerialNumber: big.NewInt(n + 1), RevocationTime: o.ThisUpdate})
	}
	for _, name := range leafs {
		o.Revoked = append(o.Revoked, p.leafs[name])
	}
	return by.CRL(o)
}
