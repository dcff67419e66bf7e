package verify_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/tspclient-go"
	"github.com/veraison/go-cose"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/verify"
)

// heavy is a certificate of an RSA key with so many bits, which nobody has.
func heavy(bits uint) *x509.Certificate {
	ca := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "heavy"}))
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	key := &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 1<<31 - 1}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, ca.Certificate, key, ca.Key))))
}

// recertified puts another chain into an envelope.
func recertified(mediaType string, envelope []byte, chain []*x509.Certificate) []byte {
	var certs [][]byte
	var list []any
	for _, c := range chain {
		certs, list = append(certs, c.Raw), append(list, c.Raw)
	}
	if mediaType == notationsign.JWS {
		var all map[string]any
		if err := json.Unmarshal(envelope, &all); err != nil {
			panic(err)
		}
		all["header"].(map[string]any)["x5c"] = certs
		return must(json.Marshal(all))
	}
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(envelope); err != nil {
		panic(err)
	}
	message.Headers.Unprotected[cose.HeaderLabelX5Chain], message.Headers.RawUnprotected = list, nil
	return must(message.MarshalCBOR())
}

// padder adds certificates to the timestamps of an authority, which cover them not.
type padder struct {
	*tuftest.TSA
	extra []*x509.Certificate
}

func (p padder) Timestamp(ctx context.Context, request *tspclient.Request) (*tspclient.Response, error) {
	response, err := p.TSA.Timestamp(ctx, request)
	if err != nil {
		return nil, err
	}
	var token struct {
		Type asn1.ObjectIdentifier
		Data []asn1.RawValue `asn1:"explicit,tag:0"`
	}
	must(asn1.Unmarshal(response.TimestampToken.FullBytes, &token))
	certs := &token.Data[3]
	certs.FullBytes = nil
	for _, c := range p.extra {
		certs.Bytes = append(certs.Bytes, c.Raw...)
	}
	response.TimestampToken = asn1.RawValue{FullBytes: must(asn1.Marshal(token))}
	return response, nil
}

// An envelope that would take hours to verify is refused at once, and hides no good
// one.
func TestHeavyEnvelopes(t *testing.T) {
	t.Parallel()
	big, fits := heavy(8193), heavy(8192)
	long := make([]*x509.Certificate, 21)
	for i := range long {
		long[i] = fits
	}
	tsa := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa root"})).Leaf(notationsign.CertificateOptions{Name: "tsa", Timestamping: true}))
	stampBy := func(extra ...*x509.Certificate) notationsign.Options {
		by := &tuftest.TSA{Chain: tsa.Chain, Key: tsa.Key}
		return notationsign.Options{Timestamper: padder{by, extra}, TSARoots: by.Roots(), TSAValidator: unasked{}}
	}
	for name, tt := range map[string]struct {
		chain   func(good []*x509.Certificate) []*x509.Certificate
		options notationsign.Options
		text    string
	}{
		"leaf":   {chain: func(g []*x509.Certificate) []*x509.Certificate { return append([]*x509.Certificate{big}, g[1:]...) }, text: "8193 bits"},
		"parent": {chain: func(g []*x509.Certificate) []*x509.Certificate { return []*x509.Certificate{g[0], big, g[2]} }, text: "8193 bits"},
		"last":   {chain: func(g []*x509.Certificate) []*x509.Certificate { return append(g[:3:3], big) }, text: "8193 bits"},
		"many":   {chain: func([]*x509.Certificate) []*x509.Certificate { return long }, text: "21 certificates"},
		"one that fits": {
			chain: func(g []*x509.Certificate) []*x509.Certificate { return []*x509.Certificate{g[0], fits, g[2]} }, text: "chain",
		},
		"timestamp":           {options: stampBy(big), text: "timestamp: a certificate with a key of 8193 bits"},
		"timestamp of many":   {options: stampBy(long...), text: "timestamp: 23 certificates"},
		"timestamp that fits": {options: stampBy(fits)},
	} {
		for _, mediaType := range []string{notationsign.JWS, notationsign.COSE} {
			t.Run(name+"/"+mediaType, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, withReferrers)
				image := w.push("hello", "1.0")
				w.mapped(image, "1.0")
				options := tt.options // that the other media type has too
				options.MediaType = mediaType
				e := must(notationsign.Envelope(w.ctx(), image, w.leaf, options))
				if tt.chain != nil {
					e = recertified(mediaType, e, tt.chain(w.leaf.Chain))
				}
				must(notationsign.Attach(w.ctx(), w.images, image, mediaType, e, w.leaf.Chain))
				w.publish()
				r := w.verify(":1.0")
				if tt.text == "" {
					if r.Err != nil {
						t.Error(r.Err)
					}
					return
				}
				if !errors.Is(r.Err, verify.ErrEnvelope) || !strings.Contains(r.Err.Error(), tt.text) {
					t.Errorf("got %v", r.Err)
				}
				w.sign(image)
				if r := w.verify(":1.0"); r.Err != nil {
					t.Errorf("beside a good one: %v", r.Err)
				}
			})
		}
	}
}
