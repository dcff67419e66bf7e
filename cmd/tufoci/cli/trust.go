package cli

import (
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/trust"
)

func (a *app) newTrust() *cobra.Command {
	return newGroup("trust", "Named trusts: a source and the root that it is verified from",
		a.newTrustAdd(), a.newTrustList(), a.newTrustShow(), a.newTrustRemove(), a.newTrustUpdate(),
		a.newTrustSync(), a.newTrustExport())
}

// fallbackCopies is the default of --fallback.
const fallbackCopies = "copies"

// noHome stands for the source of a trust without one.
const noHome = "none, next to images"

// trustInfo is one named trust.
type trustInfo struct {
	Name         string `json:"name"`
	Source       string `json:"source"`
	RootChecksum string `json:"rootChecksum"`
	TargetsURL   string `json:"targetsURL"`
	MaxStale     string `json:"maxStale"`
	MinTimestamp int64  `json:"minTimestamp"`
	// Scopes is what it speaks for, Require what it asks of images.
	Scopes   []string `json:"scopes"`
	Maps     []string `json:"maps"`
	Require  []string `json:"require"`
	MinLevel string   `json:"minLevel"`
	Also     bool     `json:"also"`
	Fallback string   `json:"fallback"`
	// Limits that differ from their defaults, in the form that --limit takes.
	Limits map[string]string `json:"limits"`
}

func newTrustInfo(e trust.Entry) trustInfo {
	i := trustInfo{
		Name: e.Name, Source: e.Source, RootChecksum: "sha256:" + e.RootSHA256, TargetsURL: e.TargetsURL,
		MaxStale: period.Format(e.MaxStale), MinTimestamp: e.MinTimestamp,
		Scopes: []string{}, Maps: []string{}, Require: e.Required(), MinLevel: e.Level(), Also: e.Also,
		Fallback: first(e.Fallback, fallbackCopies), Limits: e.Limits.Changed(),
	}
	for _, s := range e.Scopes {
		i.Scopes = append(i.Scopes, s.String())
	}
	for _, m := range e.Maps {
		i.Maps = append(i.Maps, m.String())
	}
	return i
}

// roleVersion is one top-level role as verified.
type roleVersion struct {
	Role    string `json:"role"`
	Version int64  `json:"version"`
	Expires moment `json:"expires"`
}

func roleVersions(st trust.Status) []roleVersion {
	return []roleVersion{
		{"root", st.Root.Version, moment{st.Root.Expires}},
		{"timestamp", st.Timestamp.Version, moment{st.Timestamp.Expires}},
		{"snapshot", st.Snapshot.Version, moment{st.Snapshot.Expires}},
		{"targets", st.Targets.Version, moment{st.Targets.Expires}},
	}
}
