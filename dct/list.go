package dct

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What is read is bounded: a repository with 50,000 tags has about 10 MB of targets.
const (
	maxFile         = 64 << 20
	maxTags         = 100_000 // of one repository
	maxRepositories = 1_000
)

// ReadList reads what `docker trust inspect IMAGE...` prints. [ErrFormat].
func ReadList(data []byte) ([]Repository, error) {
	var list []struct {
		Name       string
		SignedTags []struct{ SignedTag, Digest string }
		Signers    []struct {
			Name string
			Keys []struct{ ID string }
		}
		AdministrativeKeys []struct {
			Name string
			Keys []struct{ ID string }
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: want what docker trust inspect prints: %v", ErrFormat, err)
	}
	if len(list) == 0 || len(list) > maxRepositories {
		return nil, fmt.Errorf("%w: a list of %d repositories; want 1 to %d", ErrFormat, len(list), maxRepositories)
	}
	var out []Repository
	for _, one := range list {
		r := Repository{GUN: withoutTag(one.Name)}
		if r.GUN == "" || len(one.SignedTags) > maxTags {
			return nil, fmt.Errorf("%w: repository %q with %d tags", ErrFormat, one.Name, len(one.SignedTags))
		}
		for _, t := range one.SignedTags {
			sum := strings.TrimPrefix(t.Digest, "sha256:")
			if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sum {
				return nil, fmt.Errorf("%w: %s: tag %q has the digest %q", ErrFormat, r.GUN, t.SignedTag, t.Digest)
			}
			r.Tags = append(r.Tags, Tag{Name: t.SignedTag, SHA256: sum})
		}
		for _, s := range one.Signers {
			for _, k := range s.Keys {
				r.Keys = append(r.Keys, Key{Role: delegationPrefix + s.Name, ID: k.ID})
			}
		}
		for _, s := range one.AdministrativeKeys {
			for _, k := range s.Keys {
				r.Keys = append(r.Keys, Key{Role: administrativeRole(s.Name), ID: k.ID})
			}
		}
		if err := r.sortTags(); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// withoutTag takes the tag off what was typed at docker.
func withoutTag(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') && i >= 0 {
		return name[:i]
	}
	return name
}

// administrativeRole is the role whose keys docker calls so.
func administrativeRole(name string) string {
	if name == "Repository" {
		return roleTargets
	}
	return strings.ToLower(name)
}

// sortTags sorts the tags, of which no name may stand twice.
func (r *Repository) sortTags() error {
	slices.SortFunc(r.Tags, func(a, b Tag) int { return cmp.Compare(a.Name, b.Name) })
	for i, t := range r.Tags {
		if i > 0 && r.Tags[i-1].Name == t.Name {
			return fmt.Errorf("%w: %s: tag %q stands twice", ErrFormat, r.GUN, t.Name)
		}
	}
	return nil
}
