package metadata

import (
	"context"
	"fmt"
)

// RoleSignatures counts the signatures of a staged role.
type RoleSignatures struct {
	Role    string
	Version int64
	Rules   []SignatureRule // one; for a root after the first two: old, then new
}

// SignatureRule is one threshold that must be met.
type SignatureRule struct {
	By   string // the role whose delegation this is: "root v3", "targets v41"
	Have int
	Need int
	Keys []KeyInfo // all keys that count; Signed tells which have
}

// Complete reports whether every threshold is met.
func (s RoleSignatures) Complete() bool {
	for _, r := range s.Rules {
		if r.Have < r.Need {
			return false
		}
	}
	return len(s.Rules) > 0
}

func (s RoleSignatures) String() string {
	out := fmt.Sprintf("%s v%d", s.Role, s.Version)
	for i, r := range s.Rules {
		if i > 0 {
			out += ","
		}
		out += fmt.Sprintf(" has %d of %d signatures required under %s", r.Have, r.Need, r.By)
	}
	return out
}

// Sign adds signatures to the staged roles named (all staged ones when empty) with the keys named, or with every key
// of tufoci.yaml that is at hand when keys is empty. A key is a name of tufoci.yaml or a key URI.
func (w *Workspace) Sign(ctx context.Context, roles, keys []string) ([]RoleSignatures, error) {
	panic("not implemented")
}

// Signatures counts the signatures of every staged role.
func (w *Workspace) Signatures() ([]RoleSignatures, error) { panic("not implemented") }
