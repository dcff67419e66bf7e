package tuftest

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/tspclient-go"
)

// TSA is a timestamping authority (RFC 3161) in this process.
type TSA struct {
	// Chain is its leaf first, its root last; Key is that of the leaf.
	Chain []*x509.Certificate
	Key   crypto.Signer
	// Now is the time that it states; nil: time.Now.
	Now func() time.Time
}

var _ tspclient.Timestamper = (*TSA)(nil)

// Roots are what a signer has to trust.
func (a *TSA) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Chain[len(a.Chain)-1])
	return pool
}

// Timestamp answers a request.
func (a *TSA) Timestamp(_ context.Context, request *tspclient.Request) (*tspclient.Response, error) {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	ts := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256,
		HashedMessage: request.MessageImprint.HashedMessage,
		Time:          now().UTC().Truncate(time.Second),
		Nonce:         request.Nonce,
		Policy:        asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1},
		SerialNumber:  big.NewInt(now().UnixNano()),
		Qualified:     false, AddTSACertificate: true, Certificates: a.Chain[1:],
	}
	der, err := ts.CreateResponseWithOpts(a.Chain[0], a.Key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	response := new(tspclient.Response)
	return response, response.UnmarshalBinary(der)
}
