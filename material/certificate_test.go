package material

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"testing"

	corex509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/internal/notationsign"
)

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	root, other := newRoot(t, "root"), newRoot(t, "other")
	between := newIntermediate(t, root, "between")
	leaf := newLeaf(t, root)
	selfSigned := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "self"}}, nil)
	two := append(root.PEM(), other.PEM()...)
	key := encodePEM("PRIVATE KEY", []byte{1, 2, 3})
	headers := bytes.Replace(root.PEM(), []byte("-----\n"), []byte("-----\nComment: x\n\n"), 1)
	damaged := append(bytes.Replace(root.PEM(), []byte("-----END"), []byte("?----END"), 1), other.PEM()...)

	for _, c := range []struct {
		name string
		t    StoreType
		data []byte
		want int // certificates; 0: refused
	}{
		{"pem", StoreCA, root.PEM(), 1},
		{"two", StoreCA, two, 2},
		{"with line ends of Windows", StoreCA, bytes.ReplaceAll(two, []byte("\n"), []byte("\r\n")), 2},
		{"der", StoreCA, root.Certificate.Raw, 1},
		{"intermediate", StoreSigningAuthority, between.PEM(), 1},
		{"self-signed leaf", StoreCA, selfSigned.PEM(), 1},
		{"tsa root", StoreTSA, two, 2},

		{"unknown type", "x", root.PEM(), 0},
		{"empty", StoreCA, nil, 0},
		{"spaces", StoreCA, []byte("\n \n"), 0},
		{"text", StoreCA, []byte("hello"), 0},
		{"leaf", StoreCA, notationsign.EncodePEM(leaf), 0},
		{"root and leaf", StoreCA, notationsign.EncodePEM(root.Certificate, leaf), 0},
		{"tsa intermediate", StoreTSA, between.PEM(), 0},
		{"tsa signed by its own key under another name", StoreTSA, sameKey(t, root, "one", "another").PEM(), 0},
		{"tsa self-signed leaf", StoreTSA, selfSigned.PEM(), 0},
		{"two in der", StoreCA, append(bytes.Clone(root.Certificate.Raw), other.Certificate.Raw...), 0},
		{"der and more", StoreCA, append(bytes.Clone(root.Certificate.Raw), 0), 0},
		{"text before", StoreCA, append([]byte("subject=root\n"), root.PEM()...), 0},
		{"text between", StoreCA, append(append(root.PEM(), "other:\n"...), other.PEM()...), 0},
		{"text behind", StoreCA, append(root.PEM(), "x"...), 0},
		{"a private key behind", StoreCA, append(root.PEM(), key...), 0},
		{"a private key", StoreCA, key, 0},
		{"headers", StoreCA, headers, 0},
		{"a damaged block before", StoreCA, damaged, 0},
		{"another kind of block", StoreCA, encodePEM("TRUSTED CERTIFICATE", root.Certificate.Raw), 0},
		{"no certificate", StoreCA, encodePEM("CERTIFICATE", []byte{0x30, 0}), 0},
		{"too many", StoreCA, bytes.Repeat(root.PEM(), MaxCertificates+1), 0},
		{"too large", StoreCA, append(root.PEM(), bytes.Repeat([]byte("\n"), MaxCertificateFile)...), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			certs, err := ParseCertificates(c.t, c.data)
			if c.want == 0 {
				if !errors.Is(err, ErrInvalid) || certs != nil {
					t.Errorf("%d certificates, %v", len(certs), err)
				}
				return
			}
			if err != nil || len(certs) != c.want {
				t.Fatalf("%d certificates, %v; want %d", len(certs), err, c.want)
			}
			stockReads(t, c.data, certs)
		})
	}
}

// stockReads checks that Notation reads the same certificates from a file, and
// takes them as anchors.
func stockReads(t *testing.T, data []byte, want []*x509.Certificate) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := corex509.ReadCertificateFile(path)
	if err != nil || len(got) != len(want) {
		t.Fatalf("Notation reads %d certificates, %v; want %d", len(got), err, len(want))
	}
	for i := range got {
		if !got[i].Equal(want[i]) {
			t.Errorf("Notation reads another certificate %d", i)
		}
	}
	if err := truststore.ValidateCertificates(got); err != nil {
		t.Error(err)
	}
}

func FuzzParseCertificates(f *testing.F) {
	root := newRoot(f, "root")
	f.Add(root.PEM())
	f.Add(root.Certificate.Raw)
	f.Add(append([]byte("-----BEGIN \n"), root.PEM()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseCertificates(StoreCA, data)
		if err != nil {
			if certs != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%d, %v", len(certs), err)
			}
			return
		}
		stockReads(t, data, certs)
	})
}
