package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newTarget() *cobra.Command {
	return newGroup("target", "Targets: the files and names that the repository vouches for",
		a.newTargetAdd(), a.newTargetRemove(), a.newTargetList(), a.newTargetShow())
}

// targetEntry is one entry of a targets role, in a workspace or as verified.
type targetEntry struct {
	Path   string            `json:"path"`
	Role   string            `json:"role"`
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
	Staged bool              `json:"staged"`
}

func newTargetEntry(t metadata.Target) targetEntry {
	return targetEntry{Path: t.Path, Role: t.Role, Length: t.Length, Hashes: t.Hashes, Custom: orNull(t.Custom), Staged: t.Staged}
}

func targetEntries(in []metadata.Target) []targetEntry {
	out := make([]targetEntry, 0, len(in))
	for _, t := range in {
		out = append(out, newTargetEntry(t))
	}
	return out
}

// orNull makes an absent JSON value null.
func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
