package material

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a JSON document; a policy has 5 levels.
const maxDepth = 16

// decodeStrict reads exactly one JSON value. Of an object each member stands there once, in one of the spellings of
// names, and at a place that knows it: encoding/json alone takes any case, and the last of two.
func decodeStrict(data []byte, names []string, into any) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := checkValue(dec, known, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data behind the document")
	}
	dec = json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// checkValue reads one value at a depth.
func checkValue(dec *json.Decoder, known map[string]bool, depth int) error {
	token, err := dec.Token()
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case token == nil:
		return errors.New("null")
	}
	kind, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for dec.More() {
		if kind == '{' {
			if err := checkMember(dec, known, seen); err != nil {
				return err
			}
		}
		if err := checkValue(dec, known, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// checkMember reads the name of a member.
func checkMember(dec *json.Decoder, known, seen map[string]bool) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	name, ok := token.(string)
	switch {
	case !ok:
		return errors.New("a member without a name")
	case !known[name]:
		return fmt.Errorf("unknown member %q", name)
	case seen[name]:
		return fmt.Errorf("member %q stands twice", name)
	}
	seen[name] = true
	return nil
}
