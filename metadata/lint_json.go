package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// expiresForm is that of TUF spec 4.2.1. A parser of Go takes fractions of a second behind it.
const expiresForm = "2006-01-02T15:04:05Z"

// maxDepth bounds the nesting of metadata, which has 7 levels without what is custom.
const maxDepth = 64

var specVersionRE = regexp.MustCompile(`^1\.[0-9]+(\.[0-9]+)?$`)

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
	if !specVersionRE.MatchString(s.Spec) {
		l.error(role, "spec-version", "spec_version %q; this is for 1.x", s.Spec)
	}
	if s.Version < 1 || s.Version > maxVersion {
		l.error(role, "version", "version %d; it must be from 1 to 2^53-1", s.Version)
	}
	// TUF spec 4.2.1: YYYY-MM-DDTHH:MM:SSZ, nothing else.
	if _, err := time.Parse(expiresForm, s.Expires); err != nil || len(s.Expires) != len(expiresForm) {
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

// checkTokens refuses what parsers read in different ways: members twice, null, fractions, integers that do not fit into
// a float64, anything behind the document.
func checkTokens(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, nil); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data behind the document")
	}
	return nil
}

// checkValue reads one value, which stands at path.
func checkValue(dec *json.Decoder, path []string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case nil:
		if !inCustom(path) {
			return fmt.Errorf("null at %q", strings.Join(path, "/"))
		}
	case json.Number:
		return checkNumber(t)
	case json.Delim:
		return checkMembers(dec, t, path)
	}
	return nil
}

// checkMembers reads the rest of an object or array.
func checkMembers(dec *json.Decoder, kind json.Delim, path []string) error {
	if len(path) >= maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	members := map[string]bool{}
	for dec.More() {
		name := ""
		if kind == '{' {
			token, err := dec.Token()
			if err != nil {
				return err
			}
			name = token.(string)
			if members[name] {
				return fmt.Errorf("member %q stands twice", name)
			}
			members[name] = true
		}
		if err := checkValue(dec, append(path, name)); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// inCustom reports whether a path is inside the custom part of a target, which TUF leaves to applications.
func inCustom(path []string) bool {
	return len(path) > 4 && path[0] == "signed" && path[1] == "targets" && path[3] == "custom"
}

func checkNumber(n json.Number) error {
	i, ok := new(big.Int).SetString(n.String(), 10)
	if !ok || n == "-0" {
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
