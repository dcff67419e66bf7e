package verify

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// newMapping reads the entry of an image. trust.ErrMalformed for one without a
// sha256, or whose custom object is not of its form.
func newMapping(t *trust.Target) (Mapping, error) {
	m := Mapping{
		Name: t.Path, Role: t.Role, RoleVersion: t.RoleVersion, Length: t.Length,
		Digest: digest.NewDigestFromEncoded(digest.SHA256, t.Hashes["sha256"]),
	}
	var custom struct {
		Tufoci struct {
			MediaType string        `json:"mediaType"`
			Index     digest.Digest `json:"index"`
		} `json:"tufoci"`
	}
	if t.Custom != nil {
		if err := json.Unmarshal(t.Custom, &custom); err != nil {
			return m, malformed(t, err)
		}
	}
	m.MediaType, m.Index = custom.Tufoci.MediaType, custom.Tufoci.Index
	switch {
	case !ociremote.IsDigest(m.Digest.String()):
		return m, malformed(t, fmt.Errorf("an image needs its sha256"))
	case m.Index != "" && !ociremote.IsDigest(m.Index.String()):
		return m, malformed(t, fmt.Errorf("invalid digest of an index %.128q", m.Index))
	}
	return m, nil
}

func malformed(t *trust.Target, err error) error {
	return &trust.VerificationError{
		Kind: trust.ErrMalformed, Role: t.Role, Version: t.RoleVersion, Detail: fmt.Sprintf("target %q", t.Path), Err: err,
	}
}

// subject is the digest whose signature is checked.
func (m *Mapping) subject() digest.Digest {
	if m.Index != "" {
		return m.Index
	}
	return m.Digest
}

// difference says in what a manifest differs from the entry. What the entry does
// not say is not compared.
func (m *Mapping) difference(served ocispec.Descriptor) (signed, got string) {
	switch {
	case m.Digest != served.Digest:
		return m.Digest.String(), served.Digest.String()
	case m.Length != served.Size:
		return strconv.FormatInt(m.Length, 10) + " bytes", strconv.FormatInt(served.Size, 10) + " bytes"
	case m.MediaType != "" && m.MediaType != served.MediaType:
		return m.MediaType, served.MediaType
	}
	return "", ""
}
