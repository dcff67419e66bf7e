package notationdir

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

// planSync plans the sync of one trust.
func (s *session) planSync(in Input) error {
	if err := s.checkAge(in); err != nil {
		return err
	}
	if err := s.findDrift(in.Trust); err != nil {
		return err
	}
	rec := newRecord(in.Status)
	rec.Plain = s.o.Policy == PolicyNone
	if old := s.state.Trusts[in.Trust]; rec.Plain && old != nil && len(old.Statements) > 0 {
		return fmt.Errorf("%w: %s has statements of trust %q, which would no longer be kept up to date", ErrForeign, policyFile, in.Trust)
	}
	s.next.Trusts[in.Trust] = rec
	names, err := s.planStores(in, rec.Plain)
	if err != nil {
		return err
	}
	if !rec.Plain {
		statements, warnings, err := in.statements(names, maxScopes)
		if err != nil {
			return err
		}
		s.warn(warnings...)
		rec.Statements = statements
		if err := s.planPolicy(in.Trust); err != nil {
			return err
		}
	}
	if err := s.planCRLs(in, rec); err != nil {
		return err
	}
	s.warn(in.notTakenOver()...)
	return s.planRemoval(in.Trust)
}

// planClose plans a policy under which nothing of the trust verifies.
func (s *session) planClose(trustName, reason string) error {
	if err := s.findDrift(trustName); err != nil {
		return err
	}
	rec := &record{CRLs: map[string]string{}, Plain: s.o.Policy == PolicyNone}
	if old := s.state.Trusts[trustName]; old != nil {
		copied := *old
		rec = &copied
	}
	if rec.Closed == "" {
		rec.Closed = reason
	}
	s.next.Trusts[trustName] = rec
	if rec.Plain {
		return s.planRemoval(trustName)
	}
	var scopes []string
	for _, st := range rec.Statements {
		scopes = append(scopes, slices.DeleteFunc(slices.Clone(st.RegistryScopes), func(scope string) bool { return strings.HasPrefix(scope, nowhere) })...)
	}
	slices.Sort(scopes)
	rec.Statements = append(rec.Statements[:0:0], closedStatement(trustName, scopes))
	if err := s.planPolicy(trustName); err != nil {
		return err
	}
	return s.planRemoval(trustName)
}

// checkAge refuses to go back: of two syncs of one trust, the one that started with
// the older view may come last. Of two roots the later one decides: versions below it can
// count from a lower number again.
func (s *session) checkAge(in Input) error {
	old := s.state.Trusts[in.Trust]
	if old == nil || old.RootSHA256 != in.Status.RootSHA256 {
		return nil
	}
	role, now, was := "root", in.Status.Root.Version, old.Root.Version
	if now == was {
		role, now, was = "timestamp", in.Status.Timestamp.Version, old.Timestamp.Version
	}
	if now >= was {
		return nil
	}
	return &trust.VerificationError{
		Kind: trust.ErrRollback, Role: role, Version: now, Want: was, Detail: s.o.Config + " has the newer one",
	}
}

// findDrift compares the stores of a trust with their records. After a killed sync
// there is nothing to compare with.
func (s *session) findDrift(trustName string) error {
	if s.state.Pending {
		return nil
	}
	for _, store := range sortedKeys(s.state.Stores) {
		r := s.state.Stores[store]
		if r.Trust != trustName || r.Retired != nil {
			continue
		}
		files, odd, err := readStore(s.storeDir(store))
		if err != nil {
			return err
		}
		if odd || !hold(files, r.Files) {
			s.drift(storePath(store))
		}
	}
	return nil
}

// storePath is a store as a report names it.
func storePath(store string) string { return path.Join("truststore/x509", store) }

// notTakenOver warns of what `tufoci verify` refuses and stock notation does not.
func (in Input) notTakenOver() []string {
	var warnings []string
	if n := len(in.Set.Revocations.Images); n > 0 {
		warnings = append(warnings, countOf(n, "image")+" revoked by list: notation does not know of it, `tufoci verify` does")
	}
	stores := map[string]bool{}
	for _, kind := range in.Set.Stores {
		for _, certs := range kind {
			for _, c := range certs {
				stores[material.SHA256(c)] = true
			}
		}
	}
	leafs := 0
	for _, c := range in.Set.Revocations.Certificates {
		if !stores[c.SHA256] {
			leafs++
		}
	}
	if leafs > 0 {
		warnings = append(warnings, countOf(leafs, "certificate")+" revoked by list and in no store: notation takes revocations of these from CRLs only")
	}
	return warnings
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
