package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// original is a verified repository that is copied, to one destination or to many
// at the same time.
type original struct {
	view   *trust.View
	status trust.Status
	source *ociremote.Bundle // nil if it does not come from one
	set    *trust.FileSet
	pin    []byte

	mu sync.Mutex
	// accepted is the candidate that a client took which starts from the pin, at
	// the time acceptedAt.
	accepted   digest.Digest
	acceptedAt time.Time
}

// newOriginal reads all of a view. [ErrPartial], [ErrUnverified], and the errors of
// [trust.View.Files].
func newOriginal(ctx context.Context, view *trust.View) (*original, error) {
	s := &original{view: view, status: view.Status(), source: view.Bundle()}
	if s.source != nil && s.source.Partial {
		return nil, ErrPartial
	}
	if !s.status.Verified && s.status.AsOf == nil {
		return nil, ErrUnverified
	}
	set, err := view.Files(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return s, s.holds(set)
}

// holds takes the files, among which there has to be the pinned root.
func (s *original) holds(set *trust.FileSet) error {
	s.set = set
	for _, f := range set.Files {
		if f.Role == "root" && f.Digest.Encoded() == s.status.RootSHA256 {
			s.pin = f.Data
			return nil
		}
	}
	return errors.New("the source does not hold the pinned root")
}

// firstRoot is the digest of root version 1, which tells one lineage from another;
// false if the original does not hold it.
func (s *original) firstRoot() (digest.Digest, bool) {
	title := metadata.Title("root", 1)
	for _, f := range s.set.Files {
		if f.Title == title {
			return f.Digest, true
		}
	}
	return "", false
}

// accept verifies a candidate as a client does that starts from the pin, once for
// each candidate, and returns the time at which that was judged.
func (s *original) accept(ctx context.Context, c candidate, behind ociremote.Repository, now time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepted == c.bundle.Descriptor.Digest {
		return s.acceptedAt, nil
	}
	copied := &shown{behind: behind}
	copied.show(c.bundle, c.blobs)
	fresh, _, err := seeOnce(ctx, s.pin, copied, c.bundle, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("verifying the copy: %w", err)
	}
	s.accepted, s.acceptedAt = c.bundle.Descriptor.Digest, *fresh.clock.Load()
	return s.acceptedAt, nil
}

// held are the bytes of its files, for destinations that hold the same ones.
func (s *original) held() map[digest.Digest][]byte {
	held := map[digest.Digest][]byte{}
	for _, f := range s.set.Files {
		held[f.Digest] = f.Data
	}
	return held
}

func (s *original) versions() Versions {
	return Versions{
		Root: s.status.Root.Version, Timestamp: s.status.Timestamp.Version,
		Snapshot: s.status.Snapshot.Version, Targets: s.status.Targets.Version,
	}
}

// has reports whether there is a file of a role.
func (s *original) has(role string) bool {
	for _, f := range s.set.Files {
		if f.Role == role {
			return true
		}
	}
	return false
}

// size is that of all files, in bytes.
func (s *original) size() int64 {
	var sum int64
	for _, f := range s.set.Files {
		sum += int64(len(f.Data))
	}
	return sum
}

// delegated are the roles beside the top-level ones, those that lead to others first.
func (s *original) delegated() []string {
	var roles []string
	for _, f := range slices.Backward(s.set.Files) {
		if f.Role != "" && !slices.Contains(topLevel, f.Role) {
			roles = append(roles, f.Role)
		}
	}
	return roles
}

// newest are the versions of all roles.
func (s *original) newest() map[string]int64 {
	versions := map[string]int64{}
	for _, f := range s.set.Files {
		if f.Role != "" {
			versions[f.Role] = max(versions[f.Role], f.Version)
		}
	}
	return versions
}

// firstExpiry is when the first of the roles expires, older roots aside.
func (s *original) firstExpiry() time.Time {
	first := s.status.Root.Expires
	for _, f := range s.set.Files {
		var role struct {
			Signed struct {
				Expires time.Time `json:"expires"`
			} `json:"signed"`
		}
		if f.Role == "" || f.Role == "root" || json.Unmarshal(f.Data, &role) != nil {
			continue
		}
		if role.Signed.Expires.Before(first) {
			first = role.Signed.Expires
		}
	}
	return first
}
