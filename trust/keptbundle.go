package trust

import (
	"sync"

	"github.com/tufoci/tufoci/ociremote"
)

// keptBundle returns the bundle of a stored state, parsed when it is first needed:
// most lookups never do. It is nil if that is not the bundle of the stored
// timestamp, or carries nothing in its manifest.
func keptBundle(st *state) func() *ociremote.Bundle {
	if st.bundle == nil {
		return nil
	}
	return sync.OnceValue(func() *ociremote.Bundle {
		bundle, err := ociremote.ParseBundle(st.bundle)
		if err != nil || !isOf(bundle, st.timestamp) {
			return nil
		}
		return bundle
	})
}

// inlined returns a file of the stored bundle, nil if it does not carry it. The
// caller verifies it, like what comes from a source.
func (v *View) inlined(titles ...string) []byte {
	if v.kept == nil {
		return nil
	}
	bundle := v.kept()
	if bundle == nil {
		return nil
	}
	for _, title := range titles {
		if data, ok := bundle.Inline(title); ok {
			return data
		}
	}
	return nil
}
