package cli

import (
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

// revocationDetails says which revocations a changed list gains and, what nobody
// should sign unseen, loses.
func revocationDetails(w *metadata.Workspace, c metadata.Change) []string {
	out := []string{}
	if c.Kind != "target" || c.Subject != material.RevocationsName && !strings.HasPrefix(c.Subject, "revocations/") {
		return out
	}
	oldData, newData, err := w.Contents(c)
	if err != nil || oldData == nil && c.Old != "" || newData == nil && c.New != "" {
		return append(out, "its bytes are not in this workspace")
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
