package trust

import (
	"bytes"
	"fmt"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// rootFile is one verified root.
type rootFile struct {
	version int64
	data    []byte
	meta    *tuf.Metadata[tuf.RootType]
}

// chain is a verified sequence of roots without gaps; the first is the pin.
type chain []rootFile

func (c chain) pin() rootFile  { return c[0] }
func (c chain) last() rootFile { return c[len(c)-1] }

// version returns one root of the chain.
func (c chain) version(version int64) (rootFile, bool) {
	i := version - c[0].version
	if i < 0 || i >= int64(len(c)) {
		return rootFile{}, false
	}
	return c[i], true
}

// rotated reports whether a root after version from, up to the last, changed keys
// or threshold of timestamp or snapshot. What was accepted under from then no
// longer counts: so a publisher recovers from versions that an attacker with the
// old keys drove up (TUF spec 5.3.11).
func (c chain) rotated(from int64) bool {
	for i := 1; i < len(c); i++ {
		if c[i].version > from && rotates(c[i-1].meta, c[i].meta) {
			return true
		}
	}
	return false
}

func rotates(old, new *tuf.Metadata[tuf.RootType]) bool {
	for _, role := range []string{tuf.TIMESTAMP, tuf.SNAPSHOT} {
		a, b := old.Signed.Roles[role], new.Signed.Roles[role]
		if a.Threshold != b.Threshold || !slices.Equal(roleKeys(old, a), roleKeys(new, b)) {
			return true
		}
	}
	return false
}

// roleKeys returns the public keys of a role, each once, sorted. Key ids do not
// count: real roots list one key under two of them. The type does: a key of another
// type verifies nothing that the old one has signed.
func roleKeys(root *tuf.Metadata[tuf.RootType], role *tuf.Role) []string {
	var keys []string
	for _, id := range role.KeyIDs {
		if key := root.Signed.Keys[id]; key != nil {
			keys = append(keys, key.Type+" "+key.Scheme+" "+key.Value.PublicKey)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// parsePin verifies a pinned root: it has to be signed by itself.
func parsePin(data []byte) (rootFile, error) {
	meta, err := parse[tuf.RootType](tuf.ROOT, data)
	if err != nil {
		return rootFile{}, err
	}
	if err := verifyBy(meta, tuf.ROOT, tuf.ROOT, meta.Signed.Version, meta); err != nil {
		return rootFile{}, err
	}
	return rootFile{meta.Signed.Version, data, meta}, nil
}

// verifyChain verifies stored roots from the pin on (TUF spec 5.3). Whatever is
// wrong with them is ErrWrongRoot and ErrState: a root planted in the state would own the
// trust, so nothing is repaired here.
func verifyChain(pin rootFile, stored map[int64][]byte) (chain, error) {
	wrong := func(version int64, format string, args ...any) error {
		return &VerificationError{
			Kind: ErrWrongRoot, Role: tuf.ROOT, Version: version,
			Detail: "the stored root chain does not start at the pinned root: " + fmt.Sprintf(format, args...),
			Err:    ErrState,
		}
	}
	roots := chain{pin}
	if data, ok := stored[pin.version]; ok && !bytes.Equal(data, pin.data) {
		return nil, wrong(pin.version, "the stored root of the pinned version is another one")
	}
	for version := range stored {
		if version < pin.version {
			return nil, wrong(version, "a root older than the pinned v%d", pin.version)
		}
	}
	var set *trustedmetadata.TrustedMetadata
	err := guard(tuf.ROOT, func() (err error) {
		set, err = trustedmetadata.New(pin.data)
		return err
	})
	if err != nil {
		return nil, translate(tuf.ROOT, pin.version, err)
	}
	for left := len(stored); left > 0; left-- {
		version := roots.last().version + 1
		data, ok := stored[version]
		if !ok {
			break
		}
		if err := Precheck(tuf.ROOT, data); err != nil {
			return nil, wrong(version, "%v", err)
		}
		err := guard(tuf.ROOT, func() error {
			_, err := set.UpdateRoot(data)
			return err
		})
		if err != nil {
			return nil, wrong(version, "%v", translate(tuf.ROOT, version, err))
		}
		roots = append(roots, rootFile{version, data, set.Root})
	}
	for version := range stored {
		if version > roots.last().version {
			return nil, wrong(version, "root v%d before it is missing", roots.last().version+1)
		}
	}
	return roots, nil
}
