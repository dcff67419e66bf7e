package metadata

import "time"

// KeyInfo is one public key that may sign a role.
type KeyInfo struct {
	ID     string // TUF key id, 64 hex characters
	Name   string // name in tufoci.yaml, "" when it is not there
	URI    string // URI in tufoci.yaml, "" when held elsewhere
	Type   string // ed25519, ecdsa, rsa
	Scheme string
	Signed bool // its signature over the staged bytes is there and verifies
}

// RoleInfo is a role as it would be published.
type RoleInfo struct {
	Name        string
	Parent      string // "" for the top-level roles
	Version     int64  // of the staged bytes, else of the base
	Expires     time.Time
	Period      time.Duration // life of a new version
	RenewWithin time.Duration
	Threshold   int
	Keys        []KeyInfo
	Paths       []string
	Terminating bool
	Bins        int    // number of hash bins that this role delegates, 0 for most
	BinPrefix   string // name prefix of these bins
	Targets     int    // entries in its own list; -1 when it is not loaded
	Staged      bool
	Delegations []string // names, in order of priority
}

// RoleEdit changes a role. Zero fields stay as they are.
type RoleEdit struct {
	Threshold   int
	AddKeys     []string // names in tufoci.yaml
	RemoveKeys  []string // names in tufoci.yaml or key ids
	Expires     time.Duration
	RenewWithin time.Duration
	NoSpareKey  bool // recorded in tufoci.yaml
}

// DelegationOptions describes a new delegated role.
type DelegationOptions struct {
	Name        string
	Parent      string   // default targets
	Paths       []string // TUF path patterns outside images/
	Images      []string // "shop/api" or "shop/*"
	Keys        []string // names in tufoci.yaml; at least Threshold
	Threshold   int      // default 1
	Terminating bool
	Expires     time.Duration // default of the profile
	RenewWithin time.Duration // default of the profile
}

// BinsOptions describes the hash bins of image entries (TAP 15).
type BinsOptions struct {
	Name    string   // of the role above the bins; only "images", the default
	Bins    int      // a power of two, 2 to 256
	Keys    []string // offline keys of the role images
	BinKeys []string // online keys of the bins
	Prefix  string   // default "bin"
}

// Roles lists all roles in the order in which a lookup walks them; the bins of a role are one entry of its RoleInfo.
func (w *Workspace) Roles() ([]RoleInfo, error) { panic("not implemented") }

// Role describes one role. ErrNoRole.
func (w *Workspace) Role(name string) (*RoleInfo, error) { panic("not implemented") }

// SetRole stages changed keys, threshold or periods of the roles named.
func (w *Workspace) SetRole(names []string, e RoleEdit) error { panic("not implemented") }

// AddDelegation stages a new delegated role in its parent.
func (w *Workspace) AddDelegation(o DelegationOptions) error { panic("not implemented") }

// AddBins stages the role images with its hash bins.
func (w *Workspace) AddBins(o BinsOptions) error { panic("not implemented") }
