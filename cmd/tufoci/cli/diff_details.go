package cli

import (
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

// changeDetails says what a change of a target under a reserved name means to
// clients: nobody should sign that unseen.
func changeDetails(w contents, c metadata.Change) []string {
	if c.Kind != "target" {
		return []string{}
	}
	_, _, _, isCertificate := material.ParseCertificateName(c.Subject)
	_, isIssuer, isCRL := material.ParseCRLName(c.Subject)
	switch {
	case isCertificate && c.New == "":
		return []string{"signatures that chain only to it stop verifying"}
	case isCRL && !isIssuer && c.New == "":
		return []string{"what it revokes is accepted where nothing else says so"}
	case c.Subject == material.RevocationsName || strings.HasPrefix(c.Subject, "revocations/"):
		return revocationDetails(w, c)
	}
	return []string{}
}

// revocationDetails says which revocations a changed list gains and loses.
func revocationDetails(w contents, c metadata.Change) []string {
	out := []string{}
	oldData, newData, err := w.Contents(c)
	if err != nil || oldData == nil && c.Old != "" || newData == nil && c.New != "" {
		return append(out, "its bytes are not at hand")
	}
	old, err := parseRevocations(oldData)
	if err != nil {
		return append(out, "what is published cannot be read: "+oneLine(err.Error()))
	}
	next, err := parseRevocations(newData)
	if err != nil {
		return append(out, "clients will refuse every image: "+oneLine(err.Error()))
	}
	out = append(out, describeRevocations("-", old.Missing(next))...)
	return append(out, describeRevocations("+", next.Missing(old))...)
}

// parseRevocations reads a list; none is an empty one.
func parseRevocations(data []byte) (*material.Revocations, error) {
	if data == nil {
		return &material.Revocations{}, nil
	}
	return material.ParseRevocations(data)
}

func describeRevocations(mark string, r *material.Revocations) []string {
	var out []string
	for _, c := range r.Certificates {
		out = append(out, fmt.Sprintf("%s certificate sha256:%s (%s)", mark, c.SHA256, c.Reason))
	}
	for _, i := range r.Images {
		where := ""
		if i.Repository != "" {
			where = " in " + i.Repository
		}
		out = append(out, fmt.Sprintf("%s image %s%s (%s)", mark, i.Digest, where, i.Reason))
	}
	return out
}
