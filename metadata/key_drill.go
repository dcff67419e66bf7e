package metadata

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// drillText starts what a key signs in a test. It is not JSON, so that the signature counts for no metadata.
const drillText = "tufoci key test, not metadata: "

// KeyDrill is what came of testing one key.
type KeyDrill struct {
	Key Key
	Err error // nil: it can sign today
}

// TestKeys has each of the keys named sign something that nobody knew before, and verifies it against the public key of
// tufoci.yaml; without names, every key with a URI. A key that cannot sign does not keep the others from it. What was seen
// is recorded. ErrKeyMissing for a name that tufoci.yaml does not have, ErrInvalid where there is nothing to test.
func (w *Workspace) TestKeys(ctx context.Context, names ...string) ([]KeyDrill, error) {
	if err := w.writable(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(w.cfg.Keys)) {
			if w.cfg.Keys[name].URI != "" {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: tufoci.yaml has no key with a URI", ErrInvalid)
	}
	for _, name := range names {
		if _, _, err := w.publicKey(name); err != nil {
			return nil, err
		}
	}
	open := w.newSigners()
	errs := make([]error, len(names))
	for i, name := range names {
		if errs[i] = open.drill(ctx, name); ctx.Err() != nil {
			return nil, errors.Join(errs[i], context.Cause(ctx))
		}
	}
	w.recordSeen()
	drills := make([]KeyDrill, len(names))
	for i, name := range names {
		key, err := w.Key(name)
		if err != nil {
			return nil, err
		}
		drills[i] = KeyDrill{*key, errs[i]}
	}
	return drills, nil
}

// drill tests one key of tufoci.yaml.
func (s *signers) drill(ctx context.Context, name string) error {
	public, _, err := s.w.publicKey(name)
	if err != nil {
		return err
	}
	signer, err := s.named(name)
	if err != nil {
		return err
	}
	payload := []byte(drillText + rand.Text())
	sig, err := signer.Sign(ctx, payload)
	if err != nil {
		return err
	}
	if err := VerifySignature(public, payload, sig); err != nil {
		return fmt.Errorf("key %q: %w", name, err)
	}
	s.w.note(public, s.w.cfg.Keys[name].URI, true)
	return nil
}
