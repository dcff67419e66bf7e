package notationdir

import (
	"bytes"
	"path/filepath"
	"slices"
)

// draft is what a sync is to do.
type draft struct {
	next   *state // the state afterwards
	report Report

	wanted   map[string]bool              // stores that this sync has to leave, made or found
	stores   map[string]map[string][]byte // TYPE/NAME of stores to make, with their files
	files    []storeFile                  // to write into stores that exist
	crls     map[string][]byte            // files of the CRL cache to write
	policies []policyChange
	// What goes, at the end.
	dropFiles  []storeFile
	dropStores []string
}

type storeFile struct {
	store, name string
	data        []byte
}

type policyChange struct {
	file string
	data []byte
}

func newDraft(st *state) draft {
	d := draft{next: st.clone(), wanted: map[string]bool{}, stores: map[string]map[string][]byte{}, crls: map[string][]byte{}}
	d.next.Pending = false
	return d
}

func (d *draft) change(action, path, detail string) {
	d.report.Changes = append(d.report.Changes, Change{Action: action, Path: filepath.ToSlash(path), Detail: detail})
}

func (d *draft) drift(path string) {
	if path = filepath.ToSlash(path); !slices.Contains(d.report.Drift, path) {
		d.report.Drift = append(d.report.Drift, path)
	}
}

func (d *draft) warn(texts ...string) {
	for _, text := range texts {
		if !slices.Contains(d.report.Warnings, text) {
			d.report.Warnings = append(d.report.Warnings, text)
		}
	}
}

// works reports whether there is more to do than to update state.json.
func (d *draft) works() bool {
	return len(d.stores)+len(d.files)+len(d.crls)+len(d.policies)+len(d.dropFiles)+len(d.dropStores) > 0
}

func (s *session) dirty() bool {
	return s.works() || !bytes.Equal(s.next.marshal(), s.rawState)
}

// apply does it, in the order that [Sync] promises.
func (s *session) apply() error {
	for _, dir := range []string{s.disk.Temp, s.crlDir()} {
		if err := s.disk.clean(dir); err != nil {
			return err
		}
	}
	if s.works() {
		if err := s.writeState(s.state.intent(s.next)); err != nil {
			return err
		}
	}
	for _, step := range []func() error{s.addStores, s.addCRLs, s.writePolicies, s.drop} {
		if err := step(); err != nil {
			return err
		}
	}
	return s.writeState(s.next)
}

func (s *session) writeState(st *state) error {
	return s.disk.Write(s.config(stateDir, stateFile), st.marshal(), 0o600)
}

func (s *session) addStores() error {
	for _, path := range sortedKeys(s.stores) {
		if err := s.disk.addDir(s.storeDir(path), s.stores[path]); err != nil {
			return err
		}
	}
	for _, f := range s.files {
		if err := s.disk.Write(filepath.Join(s.storeDir(f.store), f.name), f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) addCRLs() error {
	if len(s.crls) == 0 {
		return nil
	}
	if err := s.disk.Make(s.crlDir()); err != nil {
		return err
	}
	for _, name := range sortedKeys(s.crls) {
		// A stray file does no harm there, and the cache may be another file system.
		if err := s.disk.inPlace().Write(filepath.Join(s.crlDir(), name), s.crls[name], 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) writePolicies() error {
	for _, p := range s.policies {
		if err := s.disk.Write(s.config(p.file), p.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) drop() error {
	for _, f := range s.dropFiles {
		if err := s.disk.Remove(filepath.Join(s.storeDir(f.store), f.name)); err != nil {
			return err
		}
	}
	for _, path := range s.dropStores {
		if err := s.disk.removeDir(s.storeDir(path)); err != nil {
			return err
		}
	}
	return nil
}
