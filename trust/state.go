package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
)

// stateFormat is the version of the state's files that this code writes and the
// highest that it reads.
const stateFormat = 1

// state is the stored state of one pin, as read: nothing in it is verified.
type state struct {
	roots map[int64][]byte
	// The newest bytes of these roles as received; nil if there are none.
	timestamp, snapshot, targets []byte
	// bundle is the manifest that info speaks of; nil if the two do not match.
	bundle []byte
	info   info
	seen   []byte // revocations
}

// info is source.json: where the newest bundle came from.
type info struct {
	Format int `json:"format"`
	// Source, Digest, ETag and Size are of the bundle of the last success.
	Source string        `json:"source,omitempty"`
	Digest digest.Digest `json:"digest,omitempty"`
	ETag   string        `json:"etag,omitempty"`
	Size   int64         `json:"size,omitempty"`
	// Success is the time of the last success.
	Success time.Time `json:"success,omitzero"`
	// Root is the version of the root under which timestamp and snapshot were
	// accepted; 0 if it is not known. If a root after it changed their keys or
	// thresholds, they no longer count (TUF spec 5.3.11).
	Root int64 `json:"root,omitempty"`
	// Unreachable is a home that could not be reached since then.
	Unreachable unreachable `json:"unreachable,omitzero"`
}

func (s *state) known() ociremote.Known {
	if s.bundle == nil {
		return ociremote.Known{}
	}
	return ociremote.Known{Digest: s.info.Digest, ETag: s.info.ETag, Size: s.info.Size}
}

// sameTrust reports whether both hold the same of what protects from rollback.
func (s *state) sameTrust(o *state) bool {
	return maps.EqualFunc(s.roots, o.roots, bytes.Equal) &&
		bytes.Equal(s.timestamp, o.timestamp) && bytes.Equal(s.snapshot, o.snapshot)
}

func (s *state) clone() *state {
	c := *s
	c.roots = maps.Clone(s.roots)
	return &c
}

// parseInfo reads source.json. What cannot be read heals: it is as if there was
// no success yet.
func parseInfo(data []byte) (info, error) {
	var in info
	if err := json.Unmarshal(data, &in); err != nil || in.Format < 1 || in.Root < 0 || in.Size < 0 {
		return info{}, nil
	}
	if in.Format > stateFormat {
		return info{}, fmt.Errorf("state: %w", laterFormat(in.Format, stateFormat))
	}
	if in.Digest != "" && in.Digest.Validate() != nil {
		return info{}, nil
	}
	return in, nil
}

// laterFormat says which tufoci is needed.
func laterFormat(found, read int) error {
	return fmt.Errorf("%w: it needs one that reads format %d, this one reads up to %d", ErrStateFormat, found, read)
}

func marshalInfo(in *info) ([]byte, error) {
	out := *in
	out.Format = stateFormat
	return json.MarshalIndent(out, "", "  ")
}

// change is one commit. Nil fields stay as they are.
type change struct {
	roots map[int64][]byte // new ones
	// forget, if not nil, removes the stored timestamp and snapshot before their
	// successors are written, and leaves this as source.json.
	forget                       *info
	timestamp, snapshot, targets []byte
	roles                        map[string][]byte
	// keepRole, if not nil, says which stored roles stay.
	keepRole func(name string) bool
	bundle   []byte
	info     *info
	seen     []byte
}

// roleFileName is the name under roles/ of a delegated role. A name too long for
// a file system is replaced by its hash.
func roleFileName(role string) string {
	name := url.PathEscape(role)
	if len(name) > 200 {
		name = "%sha256-" + hexSum([]byte(role))
	}
	return name + ".json"
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
