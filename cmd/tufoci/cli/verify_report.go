package cli

import (
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// Outcomes of a verification. What a policy below strict lets pass is accepted,
// and never called verified.
const (
	outcomeVerified = "verified"
	outcomeAccepted = "accepted"
	outcomeRefused  = "refused"
)

// imageReport is the answer for one image.
type imageReport struct {
	Image     string          `json:"image"`
	As        string          `json:"as"`
	Outcome   string          `json:"outcome"`
	Resolved  string          `json:"resolved"`
	Digest    string          `json:"digest"`
	MediaType string          `json:"mediaType"`
	Size      int64           `json:"size"`
	Level     string          `json:"level"`
	Verdicts  []verdictReport `json:"verdicts"`
	Error     *errorReport    `json:"error"`

	byTag bool
}

// verdictReport is what one trust says of it.
type verdictReport struct {
	Trust     string `json:"trust"`
	Canonical string `json:"canonical"`
	Scope     string `json:"scope"`
	reading
	Roles          []roleVersion     `json:"roles"`
	Mappings       []mappingReport   `json:"mappings"`
	Statement      string            `json:"statement"`
	Level          string            `json:"level"`
	Signatures     []signatureReport `json:"signatures"`
	MoreSignatures bool              `json:"moreSignatures"`
	Notes          []string          `json:"notes"`
	Error          *errorReport      `json:"error"`
}

type mappingReport struct {
	Name        string `json:"name"`
	Role        string `json:"role"`
	RoleVersion int64  `json:"roleVersion"`
	Digest      string `json:"digest"`
	Length      int64  `json:"length"`
	MediaType   string `json:"mediaType"`
	Index       string `json:"index"`
}

type signatureReport struct {
	Digest         string              `json:"digest"`
	MediaType      string              `json:"mediaType"`
	Subject        string              `json:"subject"`
	Scheme         string              `json:"scheme"`
	SigningTime    moment              `json:"signingTime"`
	Timestamp      moment              `json:"timestamp"`
	Expiry         moment              `json:"expiry"`
	Chain          []certificateReport `json:"chain"`
	TimestampChain []certificateReport `json:"timestampChain"`
	Checks         []checkReport       `json:"checks"`
	Accepted       bool                `json:"accepted"`
	Error          string              `json:"error"`
}

type certificateReport struct {
	Subject    string     `json:"subject"`
	Issuer     string     `json:"issuer"`
	Serial     string     `json:"serial"`
	SHA256     string     `json:"sha256"`
	NotBefore  moment     `json:"notBefore"`
	NotAfter   moment     `json:"notAfter"`
	Store      string     `json:"store"`
	Revocation string     `json:"revocation"`
	CRL        *crlReport `json:"crl"`
}

type crlReport struct {
	Name       string `json:"name"`
	Number     string `json:"number"`
	ThisUpdate moment `json:"thisUpdate"`
	NextUpdate moment `json:"nextUpdate"`
	Stale      bool   `json:"stale"`
	Delta      bool   `json:"delta"`
}

type checkReport struct {
	Type   string `json:"type"`
	Action string `json:"action"`
	Error  string `json:"error"`
}

func (a *app) newImageReport(r *verify.Result) imageReport {
	out := imageReport{
		Image: r.Image.String(), As: r.As.String(), Digest: r.Digest.String(), MediaType: r.MediaType, Size: r.Size,
		Level: r.Level, Outcome: outcomeRefused, Verdicts: []verdictReport{}, byTag: r.As.Digest == "",
	}
	for _, v := range r.Verdicts {
		out.Verdicts = append(out.Verdicts, a.newVerdictReport(v))
	}
	if r.Err != nil {
		out.Error = a.report(r.Err)
		return out
	}
	byDigest := r.Image
	byDigest.Tag, byDigest.Digest = "", r.Digest
	out.Resolved = byDigest.String()
	out.Outcome = outcomeVerified
	if r.Level != "" && r.Level != trust.LevelStrict {
		out.Outcome = outcomeAccepted
	}
	return out
}

func (a *app) newVerdictReport(v verify.Verdict) verdictReport {
	out := verdictReport{
		Trust: v.Trust, Canonical: v.Canonical, Scope: v.Scope, Statement: v.Statement, Level: v.Level,
		Roles: []roleVersion{}, Mappings: []mappingReport{}, Signatures: []signatureReport{},
		MoreSignatures: v.MoreSignatures, Notes: append([]string{}, v.Warnings...),
	}
	if v.Status.Timestamp.Version > 0 { // else no metadata was read
		out.reading, out.Roles = readingOf(v.Status), roleVersions(v.Status)
	}
	for _, m := range v.Mappings {
		out.Mappings = append(out.Mappings, mappingReport{
			m.Name, m.Role, m.RoleVersion, m.Digest.String(), m.Length, m.MediaType, m.Index.String(),
		})
	}
	for _, s := range v.Signatures {
		out.Signatures = append(out.Signatures, newSignatureReport(s))
	}
	if v.Err != nil {
		out.Error = a.report(v.Err)
	}
	return out
}

func newSignatureReport(s verify.Signature) signatureReport {
	out := signatureReport{
		Digest: s.Digest.String(), MediaType: s.MediaType, Subject: s.Subject.String(), Scheme: s.Scheme,
		SigningTime: moment{s.SigningTime}, Timestamp: moment{s.Timestamp}, Expiry: moment{s.Expiry},
		Chain: certificateReports(s.Chain), TimestampChain: certificateReports(s.TimestampChain),
		Checks: []checkReport{}, Accepted: s.Accepted, Error: errorText(s.Err),
	}
	for _, c := range s.Checks {
		out.Checks = append(out.Checks, checkReport{c.Type, c.Action, errorText(c.Err)})
	}
	return out
}

func certificateReports(chain []verify.Certificate) []certificateReport {
	out := []certificateReport{}
	for _, c := range chain {
		r := certificateReport{
			Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial, SHA256: c.SHA256,
			NotBefore: moment{c.NotBefore}, NotAfter: moment{c.NotAfter}, Store: c.Store, Revocation: c.Revocation,
		}
		if l := c.CRL; l != nil {
			r.CRL = &crlReport{l.Name, l.Number, moment{l.ThisUpdate}, moment{l.NextUpdate}, l.Stale, l.Delta}
		}
		out = append(out, r)
	}
	return out
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return oneLine(err.Error())
}
