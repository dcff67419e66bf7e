package cli

import (
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newRole() *cobra.Command {
	cmd := newGroup("role", "Roles: keys, thresholds, delegations",
		a.newRoleList(), a.newRoleShow(), a.newRoleSet(), a.newRoleAdd())
	cmd.Aliases = []string{"delegation"}
	return cmd
}

// roleInfo is a role as it would be published.
type roleInfo struct {
	Role        string   `json:"role"`
	Parent      string   `json:"parent"`
	Version     int64    `json:"version"`
	Expires     moment   `json:"expires"`
	Period      string   `json:"period"`
	RenewWithin string   `json:"renewWithin"`
	Threshold   int      `json:"threshold"`
	Keys        []keyRef `json:"keys"`
	Paths       []string `json:"paths"`
	Terminating bool     `json:"terminating"`
	Bins        int      `json:"bins"`
	BinPrefix   string   `json:"binPrefix"`
	Targets     int      `json:"targets"`
	Staged      bool     `json:"staged"`
	Delegations []string `json:"delegations"`
}

func newRoleInfo(r metadata.RoleInfo) roleInfo {
	return roleInfo{
		Role: r.Name, Parent: r.Parent, Version: r.Version, Expires: moment{r.Expires},
		Period: period.Format(r.Period), RenewWithin: period.Format(r.RenewWithin),
		Threshold: r.Threshold, Keys: keyRefs(r.Keys), Paths: append([]string{}, r.Paths...),
		Terminating: r.Terminating, Bins: r.Bins, BinPrefix: r.BinPrefix, Targets: r.Targets,
		Staged: r.Staged, Delegations: append([]string{}, r.Delegations...),
	}
}
