package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// json checks what a parser into structs does not see, and reports whether it is worth parsing.
func (l *linter) json(role string, data []byte) bool {
	if err := checkTokens(data); err != nil {
		l.error(role, "json", "%v", err)
		return false
	}
	var file struct {
		Signed struct {
			Type    string `json:"_type"`
			Spec    string `json:"spec_version"`
			Version int64  `json:"version"`
			Expires string `json:"expires"`
		} `json:"signed"`
		Signatures []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		l.error(role, "json", "%v", err)
		return false
	}
	s := file.Signed
	if s.Type != typeOf(role) {
		l.error(role, "type", "_type is %q, not %q", s.Type, typeOf(role))
	}
	if !strings.HasPrefix(s.Spec, "1.") {
		l.error(role, "spec-version", "spec_version %q; this is for 1.x", s.Spec)
	}
	if s.Version < 1 || s.Version > maxVersion {
		l.error(role, "version", "version %d; it must be from 1 to 2^53-1", s.Version)
	}
	// TUF spec 4.2.1: YYYY-MM-DDTHH:MM:SSZ, nothing else.
	if _, err := time.Parse("2006-01-02T15:04:05Z", s.Expires); err != nil || strings.Contains(s.Expires, ".") {
		l.error(role, "expires", "expires %q; it must be whole seconds in UTC", s.Expires)
	}
	seen := map[string]bool{}
	for _, sig := range file.Signatures {
		if seen[sig.KeyID] {
			l.error(role, "signatures", "two signatures of key %s", short(sig.KeyID))
		}
		if sig.Sig == "" {
			l.error(role, "signatures", "an empty signature of key %s, which some clients refuse", short(sig.KeyID))
		}
		seen[sig.KeyID] = true
	}
	return true
}

// checkTokens refuses what parsers read in different ways: members twice, fractions, integers that do not fit into a
// float64, anything behind the document.
func checkTokens(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data behind the document")
	}
	return nil
}

func checkValue(dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Number:
		return checkNumber(t)
	case json.Delim:
		members := map[string]bool{}
		for dec.More() {
			if t == '{' {
				name, err := dec.Token()
				if err != nil {
					return err
				}
				if members[name.(string)] {
					return fmt.Errorf("member %q stands twice", name)
				}
				members[name.(string)] = true
			}
			if err := checkValue(dec); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	return nil
}

func checkNumber(n json.Number) error {
	i, ok := new(big.Int).SetString(n.String(), 10)
	if !ok {
		return fmt.Errorf("number %s is not an integer: clients sign and read fractions in different ways", n)
	}
	if i.CmpAbs(big.NewInt(maxVersion)) > 0 {
		return fmt.Errorf("number %s is beyond 2^53-1: some clients round it", n)
	}
	return nil
}

// freshID is the id of a key by its content; the key's own ID method answers from memory.
func freshID(key *tuf.Key) (string, error) {
	canonical, err := cjson.EncodeCanonical(key)
	if err != nil {
		return "", err
	}
	return checksum(canonical), nil
}
