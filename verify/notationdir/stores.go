package notationdir

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/internal/ownfile"
	"github.com/tufoci/tufoci/material"
)

const (
	storePrefix      = "tufoci." // starts the names of stores that our policies name
	generationDigits = 12        // hex digits of the content in the name of a store
	// maxGenerations is how many stores of one content are told apart: more than
	// one there is only after somebody has changed the first.
	maxGenerations = 16
)

// splitStore takes TYPE/NAME apart.
func splitStore(path string) (t material.StoreType, name string, ok bool) {
	kind, name, _ := strings.Cut(path, "/")
	t = material.StoreType(kind)
	return t, name, slices.Contains(material.StoreTypes, t) && material.IsFileName(name) && name != "." && name != ".."
}

// storeID is a store of the trust, as its policy names it: TYPE:NAME.
type storeID struct {
	kind material.StoreType
	name string
}

func (id storeID) String() string { return string(id.kind) + ":" + id.name }

// anchors are the files of each store of the trust, without what is revoked. A
// store whose certificates are all revoked has no files.
func anchors(in Input) (map[storeID]map[string][]byte, []string) {
	stores := map[storeID]map[string][]byte{}
	var warnings []string
	for _, kind := range sortedKeys(in.Set.Stores) {
		for _, name := range sortedKeys(in.Set.Stores[kind]) {
			id := storeID{kind, name}
			files := map[string][]byte{}
			for _, c := range in.Set.Stores[kind][name] {
				if in.revoked(c) {
					warnings = append(warnings, fmt.Sprintf("%s: %s is revoked and left out", id, c.Subject))
					continue
				}
				files[material.SHA256(c)+".pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
			}
			stores[id] = files
		}
	}
	return stores, warnings
}

func (in Input) revoked(c *x509.Certificate) bool {
	return in.Set.Revocations.Certificate(material.SHA256(c)) != nil
}

// generationName is the name of a store with this content. again is 0; where a
// store of that name has other content, it counts on.
func generationName(trustName, store string, files map[string][]byte, again int) string {
	hash := sha256.New()
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(hash, "%s %s\n", name, sum(files[name]))
	}
	if again > 0 {
		fmt.Fprintf(hash, "%d\n", again)
	}
	return generationPrefix(trustName) + store + "." + hex.EncodeToString(hash.Sum(nil))[:generationDigits]
}

// generationPrefix starts the names of all stores of a trust. The name of a trust
// has no dot.
func generationPrefix(trustName string) string { return storePrefix + trustName + "." }

// absentStore is the name of a store that is never made: nothing verifies under a
// statement that names it.
func absentStore(trustName, store string) string {
	return generationPrefix(trustName) + store + ".absent"
}

// readStore returns the files of a store as they are on disk; nil if there is
// none. odd is set for a store that Notation could not read.
func readStore(dir string) (files map[string][]byte, odd bool, err error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !info.IsDir() {
		return map[string][]byte{}, true, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, false, err
	}
	if len(entries) > maxStoreFiles {
		return nil, false, fmt.Errorf("%s has %d files, more than %d", dir, len(entries), maxStoreFiles)
	}
	files = map[string][]byte{}
	for _, e := range entries {
		data, err := ownfile.Read(filepath.Join(dir, e.Name()), maxCertificateFile)
		if errors.Is(err, ownfile.ErrOdd) || err == nil && data == nil {
			odd = true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		files[e.Name()] = data
	}
	return files, odd, nil
}

// hold reports whether files are exactly those that are recorded.
func hold(files map[string][]byte, recorded map[string]string) bool {
	if len(files) != len(recorded) {
		return false
	}
	for name, data := range files {
		if recorded[name] != sum(data) {
			return false
		}
	}
	return true
}

func sums(files map[string][]byte) map[string]string {
	out := make(map[string]string, len(files))
	for name, data := range files {
		out[name] = sum(data)
	}
	return out
}

// orphans are the stores on disk that have a name of the trust and no record, as
// after the loss of state.json.
func (s *session) orphans(trustName string) ([]string, error) {
	form := regexp.MustCompile(`^` + regexp.QuoteMeta(generationPrefix(trustName)) + fmt.Sprintf(`.+\.[0-9a-f]{%d}$`, generationDigits))
	var found []string
	for _, kind := range material.StoreTypes {
		entries, err := os.ReadDir(s.storeDir(string(kind)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			path := string(kind) + "/" + e.Name()
			if form.MatchString(e.Name()) && s.state.Stores[path] == nil {
				found = append(found, path)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}
