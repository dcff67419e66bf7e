package cli

import (
	"fmt"
	"io"
	"strings"
)

// keyInfo is a key of tufoci.yaml.
type keyInfo struct {
	Name    string   `json:"name"`
	URI     string   `json:"uri"`
	ID      string   `json:"id"`
	Type    string   `json:"type"`
	Scheme  string   `json:"scheme"`
	Owner   string   `json:"owner"`
	Roles   []string `json:"roles"`
}

type keyResult struct {
	document
	keyInfo
}

type keyListResult struct {
	document
	Keys []keyInfo `json:"keys"`
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
}

func (r *keyListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		rows = append(rows, []string{k.Name, k.Scheme, shorten(k.ID, 12), first(k.URI, "held elsewhere"), strings.Join(k.Roles, ", "), k.Owner})
	}
	table(w, []string{"NAME", "SCHEME", "ID", "PRIVATE KEY", "ROLES", "OWNER"}, rows)
}
