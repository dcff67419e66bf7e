package cli

import (
	"fmt"
	"io"

	"github.com/tufoci/tufoci/metadata"
)

// rebasedRole is a role whose changes were made again on what others published.
type rebasedRole struct {
	Role    string   `json:"role"`
	From    int64    `json:"from"`
	To      int64    `json:"to"`
	Staged  int64    `json:"staged"`
	Kept    bool     `json:"kept"`
	Changes []change `json:"changes"`
	Done    []change `json:"done"`
}

// rebase takes down what was made again; with a head that goes on moving more than
// once.
func (r *publishResult) rebase(w *metadata.Workspace, rebased *metadata.Rebased) {
	for _, role := range rebased.Roles {
		r.Rebased = append(r.Rebased, rebasedRole{
			Role: role.Role, From: role.FromVersion, To: role.ToVersion, Staged: role.StagedVersion, Kept: role.Kept,
			Changes: newChanges(w, role.Changes), Done: newChanges(w, role.Done),
		})
	}
}

func writeRebased(w io.Writer, roles []rebasedRole, dryRun bool) {
	verb := "✓ made again"
	if dryRun {
		verb = "would make again"
	}
	for _, r := range roles {
		what := count(len(r.Changes), "change") + " on " + formatVersion(r.To)
		switch {
		case r.Staged == 0:
			what = "nothing: " + formatVersion(r.To) + " has all of it"
		case r.Kept:
			what += " as " + formatVersion(r.Staged) + ", with its signatures"
		default:
			what += " as " + formatVersion(r.Staged) + ", to be signed"
		}
		fmt.Fprintf(w, "%s: %s: %s\n", verb, printable(r.Role), what)
		writeChanges(w, r.Changes)
		for _, c := range r.Done {
			fmt.Fprintf(w, "  = %s %s: there already\n", c.Kind, printable(c.Subject))
		}
	}
}
