package notationdir

import (
	"errors"
	"fmt"
	"maps"
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
		statements, warnings, err := in.statements(names)
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
// the older view may come last.
func (s *session) checkAge(in Input) error {
	old := s.state.Trusts[in.Trust]
	if old == nil || old.RootSHA256 != in.Status.RootSHA256 || in.Status.Timestamp.Version >= old.Timestamp.Version {
		return nil
	}
	return &trust.VerificationError{
		Kind: trust.ErrRollback, Role: "timestamp", Version: in.Status.Timestamp.Version, Want: old.Timestamp.Version,
		Detail: s.o.Config + " has the newer one",
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

// planStores plans the certificates, and returns the names of the stores on disk.
// Stores without a certificate have no name.
func (s *session) planStores(in Input, plain bool) (map[storeID]string, error) {
	wanted, warnings := anchors(in)
	s.warn(warnings...)
	names := map[storeID]string{}
	for _, id := range slices.SortedFunc(maps.Keys(wanted), func(a, b storeID) int { return strings.Compare(a.String(), b.String()) }) {
		files := wanted[id]
		if len(files) == 0 {
			continue
		}
		plan := s.planGeneration
		if plain {
			plan = s.planPlain
		}
		name, err := plan(in.Trust, id, files)
		if err != nil {
			return nil, err
		}
		names[id] = name
		store := string(id.kind) + "/" + name
		s.next.Stores[store] = &storeRecord{Trust: in.Trust, Files: sums(files), Plain: plain}
		s.wanted[store] = true
	}
	return names, nil
}

// planGeneration finds the store of this content, or plans a new one. A store that
// somebody has changed is not repaired, which readers could meet half done: it gives
// way to one of another name.
func (s *session) planGeneration(trustName string, id storeID, files map[string][]byte) (string, error) {
	for again := range maxGenerations {
		name := generationName(trustName, id.name, files, again)
		store := string(id.kind) + "/" + name
		there, odd, err := readStore(s.storeDir(store))
		switch {
		case err != nil:
			return "", err
		case there == nil:
			s.stores[store] = files
			s.change("add", storePath(store), countOf(len(files), "certificate"))
			return name, nil
		case !odd && hold(there, sums(files)):
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: every name for the store %s is taken", ErrForeign, id)
}

// planPlain plans the changes of a store in place.
func (s *session) planPlain(trustName string, id storeID, files map[string][]byte) (string, error) {
	store := string(id.kind) + "/" + id.name
	recorded := s.state.Stores[store]
	there, odd, err := readStore(s.storeDir(store))
	switch {
	case err != nil:
		return "", err
	case there == nil:
		s.stores[store] = files
		s.change("add", storePath(store), countOf(len(files), "certificate"))
		return id.name, nil
	case recorded == nil || recorded.Trust != trustName:
		return "", fmt.Errorf("%w: store %s", ErrForeign, id)
	case odd:
		return "", fmt.Errorf("%w: store %s holds something else than files", ErrForeign, id)
	}
	for _, name := range sortedKeys(files) {
		if data, ok := there[name]; !ok || sum(data) != sum(files[name]) {
			s.files = append(s.files, storeFile{store, name, files[name]})
			s.change("add", path.Join(storePath(store), name), "")
		}
	}
	for _, name := range sortedKeys(there) {
		switch {
		case files[name] != nil:
		case recorded.Files[name] != "":
			s.dropFiles = append(s.dropFiles, storeFile{store: store, name: name})
			s.change("remove", path.Join(storePath(store), name), "no longer in the trust")
		default:
			s.warn(fmt.Sprintf("%s is not of the trust, and left there: notation trusts it", path.Join(storePath(store), name)))
		}
	}
	return id.name, nil
}

// planPolicy plans both policy files from the statements of all trusts.
func (s *session) planPolicy(trustName string) error {
	var others []string
	for _, name := range sortedKeys(s.next.Trusts) {
		if name != trustName && len(s.next.Trusts[name].Statements) > 0 {
			others = append(others, name)
		}
	}
	switch {
	case s.o.Policy == PolicyReplace:
		for _, name := range others {
			delete(s.next.Trusts, name)
		}
	case s.o.Policy != PolicyMerge && len(others) > 0:
		return fmt.Errorf("%w: %s", ErrOtherTrust, strings.Join(others, ", "))
	}
	doc, err := document(s.next.Trusts)
	if err != nil {
		return err
	}
	want, err := marshalPolicy(doc)
	if err != nil {
		return err
	}
	for _, file := range []string{policyFile, policyFileOCI} {
		if err := s.planPolicyFile(file, want); err != nil {
			return err
		}
	}
	s.next.Policy = []string{sum(want)}
	return nil
}

func (s *session) planPolicyFile(file string, want []byte) error {
	there, err := readFile(s.config(file), maxPolicyFile)
	odd := errors.Is(err, errOdd)
	if err != nil && !odd {
		return err
	}
	written := len(s.state.Policy) > 0 && !s.state.Pending
	if written && (odd || !slices.Contains(s.state.Policy, sum(there))) {
		s.drift(file)
	}
	switch {
	case there == nil && !odd:
		s.change("add", file, "")
	case !odd && sum(there) == sum(want):
		return nil
	case !odd && slices.Contains(s.state.Policy, sum(there)), s.o.Policy == PolicyReplace:
		s.change("replace", file, "")
	default:
		return fmt.Errorf("%w: %s", ErrForeign, s.config(file))
	}
	s.policies = append(s.policies, policyChange{file, want})
	if file == policyFile {
		s.report.Diff = unified(file, there, want)
	}
	return nil
}

// planCRLs plans the CRL cache. What notation has fetched itself and is newer stays;
// what the trust no longer has stays too, since it can only deny.
func (s *session) planCRLs(in Input, rec *record) error {
	found, warnings := bundles(in.Set.CRLs, s.now)
	s.warn(warnings...)
	for _, b := range found {
		want, err := b.marshal()
		if err != nil {
			return err
		}
		name := path.Join("crl", b.file())
		there, err := readFile(s.cacheFile(b), maxCRLFile)
		odd := errors.Is(err, errOdd)
		if err != nil && !odd {
			return err
		}
		if there != nil && newerThan(there, b) {
			continue
		}
		if other := s.otherIssuer(in.Trust, b, there); other != "" {
			s.warn(fmt.Sprintf("%s: trust %s has a CRL of another issuer there, which stays; notation can have one", b.url, other))
			continue
		}
		rec.CRLs[b.file()] = sum(want)
		if old := s.state.Trusts[in.Trust]; old != nil && !s.state.Pending && old.CRLs[b.file()] != "" && old.CRLs[b.file()] != sum(there) {
			s.drift(name)
		}
		if !odd && sum(there) == sum(want) {
			continue
		}
		action := "replace"
		if there == nil && !odd {
			action = "add"
		}
		s.change(action, name, b.url)
		s.crls[b.file()] = want
	}
	return nil
}

// otherIssuer is the trust that has written a CRL to the file of b which is not of
// b's issuer: one trust does not take away what another needs. "" for none.
func (s *session) otherIssuer(trustName string, b bundle, there []byte) string {
	if there == nil || b.issued(there) {
		return ""
	}
	for _, name := range sortedKeys(s.state.Trusts) {
		if name != trustName && s.state.Trusts[name].CRLs[b.file()] == sum(there) {
			return name
		}
	}
	return ""
}

// notTakenOver warns of what `tufoci verify` refuses and stock notation does not.
func (in Input) notTakenOver() []string {
	if in.Revocations == nil {
		return nil
	}
	var warnings []string
	if n := len(in.Revocations.Images); n > 0 {
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
	for _, c := range in.Revocations.Certificates {
		if !stores[c.SHA256] {
			leafs++
		}
	}
	if leafs > 0 {
		warnings = append(warnings, countOf(leafs, "certificate")+" revoked by list and in no store: notation takes revocations of these from CRLs only")
	}
	return warnings
}

// planRemoval retires the stores that nothing names any more, and removes those that
// have been so for the time of grace.
func (s *session) planRemoval(trustName string) error {
	orphans, err := s.orphans(trustName)
	if err != nil {
		return err
	}
	for _, store := range orphans {
		if s.next.Stores[store] == nil {
			s.next.Stores[store] = &storeRecord{Trust: trustName}
		}
	}
	named := s.named()
	for _, store := range sortedKeys(s.next.Stores) {
		r := s.next.Stores[store]
		owner := s.next.Trusts[r.Trust]
		inPlace := r.Plain && owner != nil && owner.Plain
		if named[store] || inPlace && (r.Trust != trustName || s.wanted[store]) {
			r.Retired = nil
			continue
		}
		if r.Retired == nil {
			r.Retired = &s.now
		}
		due := r.Retired.Add(s.o.Grace)
		if !inPlace && s.now.Before(due) {
			if s.report.Due.IsZero() || due.Before(s.report.Due) {
				s.report.Due = due
			}
			continue
		}
		if err := s.planDrop(store, r); err != nil {
			return err
		}
		delete(s.next.Stores, store)
	}
	return nil
}

// named are the stores that a statement names.
func (s *session) named() map[string]bool {
	named := map[string]bool{}
	for _, rec := range s.next.Trusts {
		for _, st := range rec.Statements {
			for _, store := range st.TrustStores {
				named[strings.Replace(store, ":", "/", 1)] = true
			}
		}
	}
	return named
}

// planDrop plans the removal of a store. Of one that also holds what is not ours,
// our files go.
func (s *session) planDrop(store string, r *storeRecord) error {
	there, odd, err := readStore(s.storeDir(store))
	if err != nil || there == nil {
		return err
	}
	foreign := odd || slices.ContainsFunc(sortedKeys(there), func(name string) bool { return r.Files[name] == "" })
	s.change("remove", storePath(store), "no policy names it")
	if !r.Plain || !foreign {
		s.dropStores = append(s.dropStores, store)
		return nil
	}
	s.warn(storePath(store) + " holds files that are not of the trust, which are left there")
	for _, name := range sortedKeys(there) {
		if r.Files[name] != "" {
			s.dropFiles = append(s.dropFiles, storeFile{store: store, name: name})
		}
	}
	return nil
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
