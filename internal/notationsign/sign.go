package notationsign

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/tspclient-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
)

// payloadType and thumbprints are of the Notary Project's signature
// specification, sections "Payload" and "Storage".
const (
	payloadType = "application/vnd.cncf.notary.payload.v1+json"
	thumbprints = "io.cncf.notary.x509chain.thumbprint#S256"
)

// Media types of envelopes.
const (
	JWS  = jws.MediaTypeEnvelope
	COSE = cose.MediaTypeEnvelope
)

// Options of [Sign]. The zero value signs a JWS of the scheme notary.x509, now.
type Options struct {
	// MediaType of the envelope: JWS or COSE; "" is JWS.
	MediaType string
	// SigningAuthority signs by the scheme notary.x509.signingAuthority.
	SigningAuthority bool
	// SigningTime is what the signer claims; zero is now. Expiry is that of the
	// signature; zero is none.
	SigningTime, Expiry time.Time
	// Attributes are extended signed attributes.
	Attributes []signature.Attribute
	// Timestamper countersigns (RFC 3161), by a chain that ends in TSARoots.
	Timestamper tspclient.Timestamper
	TSARoots    *x509.CertPool
	// TSAValidator says whether the timestamping chain is revoked.
	TSAValidator revocation.Validator
}

// Envelope signs the descriptor of an image.
func Envelope(ctx context.Context, image ocispec.Descriptor, by *Identity, o Options) ([]byte, error) {
	target := ocispec.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size}
	payload, err := json.Marshal(map[string]any{"targetArtifact": target})
	if err != nil {
		return nil, err
	}
	signer, err := signature.NewLocalSigner(by.Chain, by.Key)
	if err != nil {
		return nil, err
	}
	if o.MediaType == "" {
		o.MediaType = JWS
	}
	envelope, err := signature.NewEnvelope(o.MediaType)
	if err != nil {
		return nil, err
	}
	request := &signature.SignRequest{
		Payload: signature.Payload{ContentType: payloadType, Content: payload},
		Signer:  signer, SigningTime: o.SigningTime, Expiry: o.Expiry, SigningScheme: signature.SigningSchemeX509,
		ExtendedSignedAttributes: o.Attributes, SigningAgent: "tufoci",
		Timestamper: o.Timestamper, TSARootCAs: o.TSARoots, TSARevocationValidator: o.TSAValidator,
	}
	if o.SigningAuthority {
		request.SigningScheme = signature.SigningSchemeX509SigningAuthority
	}
	if request.SigningTime.IsZero() {
		request.SigningTime = time.Now()
	}
	request.SigningTime = request.SigningTime.Truncate(time.Second)
	return envelope.Sign(request.WithContext(ctx))
}

// Sign signs an image and attaches the signature to it, as the notation command
// of version 1.3 does. It returns the descriptor of the signature's manifest.
func Sign(ctx context.Context, to oras.GraphTarget, image ocispec.Descriptor, by *Identity, o Options) (ocispec.Descriptor, error) {
	envelope, err := Envelope(ctx, image, by, o)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if o.MediaType == "" {
		o.MediaType = JWS
	}
	return Attach(ctx, to, image, o.MediaType, envelope, by.Chain)
}

// Attach attaches an envelope, right or wrong, to an image.
func Attach(ctx context.Context, to oras.GraphTarget, image ocispec.Descriptor, mediaType string, envelope []byte, chain []*x509.Certificate) (ocispec.Descriptor, error) {
	sums := make([]string, len(chain))
	for i, c := range chain {
		sum := sha256.Sum256(c.Raw)
		sums[i] = hex.EncodeToString(sum[:])
	}
	list, err := json.Marshal(sums)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	subject := ocispec.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size}
	_, manifest, err := registry.NewRepository(to).PushSignature(ctx, mediaType, envelope, subject, map[string]string{thumbprints: string(list)})
	return manifest, err
}
