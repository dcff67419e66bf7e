package trust

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tufoci/tufoci/material"
)

const (
	seenFile = "revocations.json"
	// maxSeen bounds that file, in bytes: some 200,000 entries.
	maxSeen = 32 << 20
	// maxGone is how many of them are warned of by name.
	maxGone = 100
)

// seenRevocations is revocations.json of the state: every entry that was ever
// listed. It is only warned from, so that one which is damaged starts anew.
type seenRevocations struct {
	Format       int                           `json:"format"`
	Images       []material.RevokedImage       `json:"images,omitempty"`
	Certificates []material.RevokedCertificate `json:"certificates,omitempty"`
}

func parseSeen(data []byte) *material.Revocations {
	var seen seenRevocations
	if json.Unmarshal(data, &seen) != nil || seen.Format != stateFormat {
		return &material.Revocations{}
	}
	return &material.Revocations{Images: seen.Images, Certificates: seen.Certificates}
}

func marshalSeen(r *material.Revocations) ([]byte, error) {
	data, err := json.Marshal(seenRevocations{stateFormat, r.Images, r.Certificates})
	if err == nil && len(data) > maxSeen {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(data), maxSeen)
	}
	return data, err
}

// rememberRevocations warns of entries that were seen before and are gone, and adds
// the new ones to the state. That it cannot is no reason to fail: the lists say
// what is revoked.
func (v *View) rememberRevocations(ctx context.Context, now *material.Revocations) {
	seen := parseSeen(v.store.seen())
	gone := seen.Missing(now)
	v.warnGone(gone)
	if added := now.Missing(seen); !v.persist || len(added.Images)+len(added.Certificates) == 0 {
		return
	}
	err := v.store.commit(ctx, func(st *state) (*change, error) {
		seen := parseSeen(st.seen)
		seen.Add(now)
		data, err := marshalSeen(seen)
		return &change{seen: data}, err
	})
	if err != nil && ctx.Err() == nil {
		v.warnings.add(fmt.Sprintf("the revocations could not be remembered: %v", err))
	}
}

// warnGone warns of each, and of very many that there are more.
func (v *View) warnGone(gone *material.Revocations) {
	told := 0
	warn := func(what, reason string) {
		if told++; told <= maxGone {
			v.warnings.add(fmt.Sprintf("revocation of %s (%q) was seen before and is no longer listed", what, reason))
		}
	}
	for _, i := range gone.Images {
		what := i.Digest
		if i.Repository != "" {
			what += " in " + i.Repository
		}
		warn(what, i.Reason)
	}
	for _, c := range gone.Certificates {
		warn("certificate sha256:"+c.SHA256, c.Reason)
	}
	if told > maxGone {
		v.warnings.add(fmt.Sprintf("%d more revocations were seen before and are no longer listed", told-maxGone))
	}
}
