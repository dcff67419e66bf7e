package dct

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

const (
	roleRoot         = "root"
	roleTargets      = "targets"
	roleSnapshot     = "snapshot"
	roleTimestamp    = "timestamp"
	delegationPrefix = "targets/"
	// roleReleases is the delegation that docker looks at first. All others say who
	// has signed, not what is to be pulled.
	roleReleases = "targets/releases"
)

// file is a metadata file of Notary v1.
type file struct {
	name       string
	data       []byte
	Signed     json.RawMessage `json:"signed"`
	Signatures []struct {
		KeyID  string `json:"keyid"`
		Method string `json:"method"`
		Sig    []byte `json:"sig"`
	} `json:"signatures"`
}

// signedHeader is common to all roles.
type signedHeader struct {
	Type    string    `json:"_type"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

type signedRoot struct {
	Keys  map[string]publicKey `json:"keys"`
	Roles map[string]ruleJSON  `json:"roles"`
}

// ruleJSON says who may sign a role.
type ruleJSON struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

type signedTargets struct {
	Targets     map[string]fileMeta `json:"targets"`
	Delegations struct {
		Keys  map[string]publicKey `json:"keys"`
		Roles []struct {
			ruleJSON
			Name  string   `json:"name"`
			Paths []string `json:"paths"`
		} `json:"roles"`
	} `json:"delegations"`
}

// signedMeta is the signed part of snapshot and timestamp.
type signedMeta struct {
	Meta map[string]fileMeta `json:"meta"`
}

type fileMeta struct {
	Length int64             `json:"length"`
	Hashes map[string][]byte `json:"hashes"`
}

func parseFile(name string, data []byte) (*file, *signedHeader, error) {
	f := &file{name: name, data: data}
	var h signedHeader
	err := onceEach(data)
	if err == nil {
		err = json.Unmarshal(data, f)
	}
	if err == nil {
		err = json.Unmarshal(f.Signed, &h)
	}
	want := name
	if strings.HasPrefix(name, delegationPrefix) {
		want = roleTargets
	}
	if err == nil && !strings.EqualFold(h.Type, want) {
		err = fmt.Errorf("its type is %q", h.Type)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s.json: %v", ErrFormat, name, err)
	}
	return f, &h, nil
}

// read parses the signed part, after it was verified.
func (f *file) read(to any) error {
	if err := json.Unmarshal(f.Signed, to); err != nil {
		return fmt.Errorf("%w: %s.json: %v", ErrFormat, f.name, err)
	}
	return nil
}

// verify holds a file to the threshold of its role. Each key counts once, whatever its
// ids: an id that is not the hash of its key counts for nothing.
func (f *file) verify(by string, keys []*parsedKey, threshold int) error {
	payload, err := cjson.EncodeCanonical(f.Signed)
	if err != nil {
		return fmt.Errorf("%w: %s.json: %v", ErrFormat, f.name, err)
	}
	signed := map[string]bool{}
	for _, s := range f.Signatures {
		i := slices.IndexFunc(keys, func(k *parsedKey) bool { return k.id == s.KeyID })
		if i >= 0 && keys[i].verify(s.Method, payload, s.Sig) {
			signed[keys[i].canonical] = true
		}
	}
	if threshold < 1 || len(signed) < threshold {
		return fmt.Errorf("%w: %s.json is signed by %d of the %d keys that %s requires", ErrSignature, f.name, len(signed), threshold, by)
	}
	return nil
}

// keysOf parses the keys of a rule. Those that cannot be used do not count.
func keysOf(keys map[string]publicKey, r ruleJSON) []*parsedKey {
	var out []*parsedKey
	for _, id := range r.KeyIDs {
		k, ok := keys[id]
		if !ok {
			continue
		}
		if p, err := k.parse(); err == nil && p.id == id {
			out = append(out, p)
		}
	}
	return out
}

// describes reports what a file is not that another one lists.
func (m fileMeta) describes(data []byte) error {
	sum := sha256.Sum256(data)
	switch {
	case m.Length != int64(len(data)):
		return fmt.Errorf("it has %d bytes, not %d", len(data), m.Length)
	case string(m.Hashes["sha256"]) != string(sum[:]):
		return errors.New("it has another sha256")
	}
	return nil
}
