package notationdir

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

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
	if strings.HasPrefix(strings.ToLower(id.name), storePrefix) {
		// It could be one that a closed statement of another trust names, since there
		// is none of that name.
		return "", fmt.Errorf("%w: store %s: names that start with %s are for stores that tufoci's policies name", ErrForeign, id, storePrefix)
	}
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
