package dct

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// readTargets verifies targets and the delegation for releases. listed is what snapshot
// lists, nil if there is none.
func (rd *reader) readTargets(listed map[string]fileMeta) error {
	f, err := rd.open(roleTargets)
	if err != nil {
		return err
	}
	if err := rd.by(f); err != nil {
		return err
	}
	top, err := rd.entries(f, listed)
	if err != nil {
		return err
	}
	tags := map[string]Tag{}
	for _, d := range top.Delegations.Roles {
		keys := keysOf(top.Delegations.Keys, d.ruleJSON)
		rd.note(d.Name, keys)
		if d.Name != roleReleases {
			rd.leave(d.Name, "", "docker pulls by targets/releases and targets alone: what only this delegation has signed is no tag")
			continue
		}
		released, err := rd.releases(keys, d.Threshold, listed)
		if err != nil {
			return err
		}
		for name, t := range released.Targets {
			if !slices.ContainsFunc(d.Paths, func(p string) bool { return strings.HasPrefix(name, p) }) {
				rd.leave(d.Name, name, "it is outside the paths of the delegation")
				continue
			}
			rd.tag(tags, roleReleases, name, t)
		}
	}
	for name, t := range top.Targets {
		if other, ok := tags[name]; ok {
			if hex.EncodeToString(t.Hashes["sha256"]) != other.SHA256 {
				rd.leave(roleTargets, name, "targets/releases has another digest, which docker pulls")
			}
			continue
		}
		rd.tag(tags, roleTargets, name, t)
	}
	if len(tags) > maxTags {
		return fmt.Errorf("%w: %s: more than %d tags", ErrFormat, rd.r.GUN, maxTags)
	}
	rd.r.Tags = slices.Collect(maps.Values(tags))
	slices.SortFunc(rd.r.Left, func(a, b Left) int { return strings.Compare(a.Role+"\x00"+a.Name, b.Role+"\x00"+b.Name) })
	return nil
}

// releases reads the delegation for releases, which may be without a file: then nobody
// has signed a release.
func (rd *reader) releases(keys []*parsedKey, threshold int, listed map[string]fileMeta) (*signedTargets, error) {
	f, err := rd.open(roleReleases)
	if errors.Is(err, fs.ErrNotExist) {
		if _, there := listed[roleReleases]; there || listed == nil {
			return nil, fmt.Errorf("%w: %s: %s.json is missing", ErrFormat, rd.r.GUN, roleReleases)
		}
		return &signedTargets{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := f.verify(roleTargets, keys, threshold); err != nil {
		return nil, err
	}
	return rd.entries(f, listed)
}

// entries reads a file that was verified.
func (rd *reader) entries(f *file, listed map[string]fileMeta) (*signedTargets, error) {
	if err := rd.current(); err != nil {
		return nil, err
	}
	if listed != nil {
		if err := rd.lists(listed, roleSnapshot, f.name); err != nil {
			return nil, err
		}
	}
	var t signedTargets
	return &t, f.read(&t)
}

func (rd *reader) tag(tags map[string]Tag, role, name string, t fileMeta) {
	sum := t.Hashes["sha256"]
	if len(sum) != 32 || t.Length < 1 {
		rd.leave(role, name, "its entry has no sha256 or no length")
		return
	}
	tags[name] = Tag{Name: name, SHA256: hex.EncodeToString(sum), Length: t.Length, Role: role}
}

func (rd *reader) leave(role, name, reason string) {
	rd.r.Left = append(rd.r.Left, Left{role, name, reason})
}
