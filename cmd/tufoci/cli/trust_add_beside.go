package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tufoci/tufoci/trust"
)

// runTrustAddBeside pins a root for a trust without a home. Nothing is read: there
// is no image yet.
func (a *app) runTrustAddBeside(ctx context.Context, name string, o *trustAddOptions, changed func(string) bool) (*trustAddResult, error) {
	if o.checksum != "" {
		return nil, usagef("--checksum needs a SOURCE that has the root file; with --beside there is none, so give --root FILE")
	}
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	entry, err := a.existing(cfg, name)
	if err != nil {
		return nil, err
	}
	if o.root == "" && entry.Name == "" {
		return nil, usagef("give --root FILE: a root never comes from what lies next to an image")
	}
	if err := o.setLimits(&entry.Limits); err != nil {
		return nil, err
	}
	root, err := o.pinned(ctx, cfg, entry, trust.Source{}, nil)
	if err != nil {
		return nil, err
	}
	if err := o.change(&entry, name, "", changed); err != nil {
		return nil, err
	}
	entry.TargetsURL = ""
	if err := cfg.Add(entry, root); err != nil {
		return nil, err
	}
	if entry, err = cfg.Get(name); err != nil {
		return nil, err
	}
	return &trustAddResult{Trust: newTrustInfo(entry), Roles: []roleVersion{}, line: pinnedRoot(root) + ", to be read next to images"}, nil
}

// pinnedRoot says which root is pinned.
func pinnedRoot(root []byte) string {
	version := rootVersion(root)
	if version == 0 {
		return "root pinned"
	}
	return fmt.Sprintf("root v%d pinned", version)
}

// rootVersion is the version of a root file; 0 if it cannot be read.
func rootVersion(root []byte) int64 {
	var pinned struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	if json.Unmarshal(root, &pinned) != nil {
		return 0
	}
	return pinned.Signed.Version
}
