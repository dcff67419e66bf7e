package notationdir

import (
	"slices"
	"strings"
)

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
