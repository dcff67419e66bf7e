package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKey() *cobra.Command {
	return newGroup("key", "Keys of the workspace: private ones, and public ones held elsewhere",
		a.newKeyGenerate(), a.newKeyImport(), a.newKeyAdd(), a.newKeyList(), a.newKeyShow(), a.newKeyTest(), a.newKeyRemove())
}

// keyInfo is a key of tufoci.yaml.
type keyInfo struct {
	Name   string   `json:"name"`
	URI    string   `json:"uri"`
	ID     string   `json:"id"`
	Type   string   `json:"type"`
	Scheme string   `json:"scheme"`
	Owner  string   `json:"owner"`
	Roles  []string `json:"roles"`
	Seen   *keySeen `json:"seen"`
}

// keySeen is when a key was last at work in this workspace.
type keySeen struct {
	Time   moment `json:"time"`
	URI    string `json:"uri"`
	Tested bool   `json:"tested"`
}

func newKeySeen(s metadata.KeySeen) *keySeen {
	if s.Time.IsZero() {
		return nil
	}
	return &keySeen{Time: moment{s.Time}, URI: s.URI, Tested: s.Tested}
}

func (s *keySeen) String() string {
	switch {
	case s == nil:
		return ""
	case s.Tested:
		return s.Time.UTC().Format(time.DateOnly) + " (test)"
	}
	return s.Time.UTC().Format(time.DateOnly)
}

func newKeyInfo(k metadata.Key) keyInfo {
	return keyInfo{
		Name: k.Name, URI: k.URI, ID: k.ID, Type: k.Type, Scheme: k.Scheme, Owner: k.Owner,
		Roles: append([]string{}, k.Roles...), Seen: newKeySeen(k.Seen),
	}
}

type keyResult struct {
	document
	keyInfo
}

func (r *keyResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "name    %s\nid      %s\nscheme  %s\n", printable(r.Name), r.ID, r.Scheme)
	if r.URI != "" {
		fmt.Fprintf(w, "uri     %s\n", printable(r.URI))
	}
	if r.Owner != "" {
		fmt.Fprintf(w, "owner   %s\n", printable(r.Owner))
	}
	if len(r.Roles) > 0 {
		fmt.Fprintf(w, "roles   %s\n", printable(strings.Join(r.Roles, ", ")))
	}
	if r.Seen != nil {
		fmt.Fprintf(w, "seen    %s by %s\n", r.Seen, printable(r.Seen.URI))
	}
}
