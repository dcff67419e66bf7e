package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// formalReference is the repository that notation-go is told. The statement has
// been picked before it is asked; its own patterns know no IPv6 hosts.
const formalReference = "image/verified"

// examiner examines signatures by one statement of a policy.
type examiner struct {
	m         *Material
	statement *trustpolicy.TrustPolicy
	policy    *trustpolicy.Document // of that statement alone
	level     string
	online    *http.Client
}

func newExaminer(m *Material, statement *trustpolicy.TrustPolicy, online *http.Client) (*examiner, error) {
	level, err := PolicyLevel(statement.SignatureVerification)
	if err != nil {
		return nil, &Refusal{Kind: ErrMaterial, Err: err}
	}
	policy := m.only(statement, anyRepository)
	return &examiner{m: m, statement: statement, policy: policy, level: level, online: online}, nil
}

// examine verifies one signature and notes the evidence. The error is nil if it is
// good: nil from notation-go alone does not say so.
func (x *examiner) examine(ctx context.Context, s *Signature, subject ocispec.Descriptor, e *envelope) (err error) {
	defer func() {
		// Envelopes, certificates and timestamps go through parsers of others.
		if p := recover(); p != nil {
			err = &Refusal{Kind: ErrEnvelope, Name: s.Digest.String(), Detail: fmt.Sprintf("it cannot be parsed: %v", p)}
		}
	}()
	s.MediaType = e.mediaType
	if err := e.checkWeight(); err != nil {
		return &Refusal{Kind: ErrEnvelope, Name: s.Digest.String(), Err: err}
	}
	code := &recorder{m: x.m, p: purpose.CodeSigning, online: x.online}
	tsa := &recorder{m: x.m, p: purpose.Timestamping, online: x.online}
	v, err := verifier.NewWithOptions(x.policy, x.m.TrustStore(), nil, verifier.VerifierOptions{
		RevocationCodeSigningValidator: code, RevocationTimestampingValidator: tsa,
	})
	if err != nil {
		return &Refusal{Kind: ErrMaterial, Err: err}
	}
	outcome, err := v.Verify(ctx, subject, e.data, notation.VerifierVerifyOptions{
		ArtifactReference: formalReference + "@" + subject.Digest.String(), SignatureMediaType: e.mediaType,
	})
	if outcome == nil || outcome.EnvelopeContent == nil {
		return &Refusal{Kind: ErrEnvelope, Name: s.Digest.String(), Err: err}
	}
	info := &outcome.EnvelopeContent.SignerInfo
	code.finish(info)
	x.note(s, outcome, code, tsa)
	return x.decide(s, err, code, tsa)
}

// decide says whether a signature is good. A revoked certificate, of the signer or
// of the timestamp, is one at every level.
func (x *examiner) decide(s *Signature, failed error, code, tsa *recorder) error {
	name := s.Digest.String()
	for _, r := range []*recorder{code, tsa} {
		if err := r.revoked(); err != nil {
			return err
		}
	}
	if err := checkDER(code.chain); err != nil { // whatever the policy says of revocation
		return &Refusal{Kind: ErrEnvelope, Name: name, Err: err}
	}
	var check *Check
	for i := range s.Checks {
		if c := &s.Checks[i]; c.Err != nil && (check == nil || c.Action == string(trustpolicy.ActionEnforce)) {
			check = c
		}
	}
	switch {
	case failed == nil && (check == nil || x.level != levelStrict && check.Action != string(trustpolicy.ActionEnforce)):
		return nil
	case failed != nil && reachedPayload(s, failed):
		// All checks were done, so that it is what is signed.
		return &Refusal{Kind: ErrEnvelope, Name: name, Err: failed}
	case check == nil:
		return &Refusal{Kind: ErrUntrusted, Name: name, Err: failed}
	default:
		return &Refusal{Kind: ErrUntrusted, Name: name, Detail: advice(check, code, tsa), Err: fmt.Errorf("%s: %w", check.Type, check.Err)}
	}
}

// reachedPayload reports whether notation-go failed behind all its validations:
// over the descriptor that is signed.
func reachedPayload(s *Signature, failed error) bool {
	timestamp := false
	for _, c := range s.Checks {
		if errors.Is(failed, c.Err) && c.Err != nil {
			return false
		}
		timestamp = timestamp || c.Type == string(trustpolicy.TypeAuthenticTimestamp)
	}
	return timestamp
}

// advice says what would help if it is not known whether a certificate is revoked.
func advice(check *Check, code, tsa *recorder) string {
	of := code
	switch check.Type {
	case string(trustpolicy.TypeRevocation):
	case string(trustpolicy.TypeAuthenticTimestamp):
		of = tsa
	default:
		return ""
	}
	for _, s := range of.standings {
		if s.result == result.ResultUnknown {
			return s.detail
		}
	}
	return ""
}

// note writes down what was found.
func (x *examiner) note(s *Signature, outcome *notation.VerificationOutcome, code, tsa *recorder) {
	info := &outcome.EnvelopeContent.SignerInfo
	s.Scheme = string(info.SignedAttributes.SigningScheme)
	s.SigningTime, s.Expiry = info.SignedAttributes.SigningTime, info.SignedAttributes.Expiry
	s.Chain = x.describe(code)
	if tsa.chain != nil {
		s.TimestampChain, s.Timestamp = x.describe(tsa), timestampOf(info)
	}
	for _, r := range outcome.VerificationResults {
		s.Checks = append(s.Checks, Check{Type: string(r.Type), Action: string(r.Action), Err: r.Error})
	}
	if outcome.VerificationLevel.Enforcement[trustpolicy.TypeRevocation] == trustpolicy.ActionSkip {
		s.Checks = append(s.Checks, Check{Type: string(trustpolicy.TypeRevocation), Action: string(trustpolicy.ActionSkip)})
	}
}

// finish judges the chain of the signature if notation-go did not come that far, or
// was told to skip it.
func (r *recorder) finish(info *signature.SignerInfo) {
	if r.chain != nil {
		return
	}
	signed, err := info.AuthenticSigningTime()
	if err != nil {
		// Of the scheme notary.x509, where what the signer claims counts for nothing.
		signed = time.Time{}
	}
	r.chain, r.standings = info.CertificateChain, r.m.standings(info.CertificateChain, signed)
}
