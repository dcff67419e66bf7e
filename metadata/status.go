package metadata

import "time"

// Status is the workspace at one glance.
type Status struct {
	Repository, Channel string
	Published           *BaseInfo // nil before the first publish
	Roles               []RoleStatus
	Added, Removed      []Target // staged entries: new or changed, gone
	Drift               []string // where tufoci.yaml and the metadata differ, one sentence each
}

// BaseInfo says which bundle the base is.
type BaseInfo struct {
	Digest    string
	Tag       string
	FetchedAt time.Time
}

// RoleStatus is one row of the table: a role, or all hash bins of a role.
type RoleStatus struct {
	Role          string
	Bins          int   // > 0: the row stands for that many bins
	BaseVersion   int64 // 0: never published
	StagedVersion int64 // 0: nothing staged
	Signed, Need  int   // distinct keys; for root under its own rules
	OldSigned     int   // root only: by the rules of the published root
	OldNeed       int   // 0 when there is no published root
	Expires       time.Time
	Period        time.Duration
	Due           bool // inside its renewal window
	Online        bool // signed by publish: its private keys are at hand
	Keys          []KeyInfo
}

// Status tells what is staged, who must sign and what expires when.
func (w *Workspace) Status() (*Status, error) { panic("not implemented") }
