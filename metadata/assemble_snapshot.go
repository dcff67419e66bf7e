package metadata

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// makeSnapshot signs a new snapshot if a role changed, if it is due or if its key changed. A role that the snapshot of
// the head lists stays listed, delegated or not: clients refuse a snapshot that forgets one (spec 5.5.5). That others
// have listed a role without length or hash is mended along the way, and no reason to sign.
func (a *assembly) makeSnapshot(ctx context.Context) error {
	meta := map[string]*tuf.MetaFiles{}
	md := tuf.Snapshot(time.Time{})
	if a.head != nil {
		md.Signed = a.head.snapshot.Signed
		maps.Copy(meta, a.head.snapshot.Signed.Meta)
	}
	changed := a.head == nil
	for role, f := range a.next {
		if typeOf(role) != tuf.TARGETS {
			continue
		}
		if old := meta[role+".json"]; old == nil || !describes(old, f) {
			m, err := describe(f)
			if err != nil {
				return err
			}
			meta[role+".json"] = m
			changed = changed || old == nil || old.Version != f.version
		}
	}
	md.Signed.Meta = meta
	return makeOnline(ctx, a, tuf.SNAPSHOT, md, changed, 0)
}

// makeTimestamp signs a new timestamp if anything changed, if it is due or if its key changed.
func (a *assembly) makeTimestamp(ctx context.Context) error {
	md := tuf.Timestamp(time.Time{})
	if a.head != nil {
		md.Signed = a.head.stamp.Signed
	}
	if f := a.next[tuf.SNAPSHOT]; f != nil {
		m, err := describe(f)
		if err != nil {
			return err
		}
		md.Signed.Meta = map[string]*tuf.MetaFiles{"snapshot.json": m}
	}
	// A version that others have claimed in a channel without a head is not there any more.
	claimed := a.head != nil && a.head.absent && a.head.version(tuf.TIMESTAMP) < a.timestampVersion
	return makeOnline(ctx, a, tuf.TIMESTAMP, md, len(a.changed) > 0 || a.head == nil || claimed, a.timestampVersion)
}

// makeOnline signs the next version of snapshot or timestamp. One that would only be renewed is left as it is when its
// key is not at hand.
func makeOnline[T tuf.Roles](ctx context.Context, a *assembly, role string, md *tuf.Metadata[T], changed bool, least int64) error {
	rules, err := a.rules(role)
	if err != nil {
		return err
	}
	l, err := a.life(role)
	if err != nil {
		return err
	}
	why := whyOnline
	if !changed {
		met, err := a.next[role].meets(rules)
		if err != nil {
			return err
		}
		changed, why = !met, whyRenewed
	}
	if !changed && (!a.by.due(a.next[role], l, a.now) || len(a.by.atHand(rules...)) == 0) {
		return nil
	}
	data, err := encode(md)
	if err != nil {
		return err
	}
	version := max(a.head.version(role)+1, a.least[role], least)
	if version > maxVersion {
		return fmt.Errorf("%w: %s v%d", ErrLastVersion, role, version-1)
	}
	if data, err = nextVersion(data, version, a.now, l); err != nil {
		return err
	}
	f, err := newRoleFile(role, data)
	if err != nil {
		return err
	}
	return a.signNew(ctx, f, rules, why, changed)
}

// signNew signs a new snapshot or timestamp; signatures that it lacks are noted if it is required.
func (a *assembly) signNew(ctx context.Context, f *roleFile, rules []rule, why string, required bool) error {
	names := a.by.atHand(rules...)
	if len(a.needs) > 0 && len(names) > 0 {
		return nil // nothing comes of this release: no key is opened for it
	}
	signed, _, err := a.by.sign(ctx, f, rules, names, true)
	if err != nil {
		return err
	}
	switch met, err := signed.meets(rules); {
	case err != nil:
		return err
	case met:
		a.put(signed, why)
	case required:
		a.next[f.role] = signed
		return a.need(signed, rules)
	}
	return nil
}

// describe is the entry of a file in snapshot or timestamp: version, length and sha256, always.
func describe(f *roleFile) (*tuf.MetaFiles, error) {
	sum, err := hex.DecodeString(f.sum)
	return &tuf.MetaFiles{Version: f.version, Length: f.length, Hashes: tuf.Hashes{"sha256": sum}}, err
}

func describes(m *tuf.MetaFiles, f *roleFile) bool {
	return m.Version == f.version && m.Length == f.length && len(m.Hashes) == 1 && m.Hashes["sha256"].String() == f.sum
}
