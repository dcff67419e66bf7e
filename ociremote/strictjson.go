package ociremote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth of nested JSON. A manifest needs four.
	maxDepth = 32
	// A text may hold minValues JSON values, and more only as it grows by
	// bytesPerValue each: a parsed value takes many times the memory of "0,". A file
	// of a bundle has six in 200 bytes.
	minValues     = 1 << 12
	bytesPerValue = 24
	// maxValues is how many a manifest may have at most, or a list that is one: some
	// 10,900 files.
	maxValues = 1 << 16
)

// CheckJSON refuses what two JSON parsers may read differently: a key twice in one
// object, also in capitals, bytes after the value, invalid UTF-8, deep nesting, and more values
// than a text of this size needs, which is [ErrTooLarge].
func CheckJSON(data []byte) error { return checkJSON(data, valuesIn(data)) }

// checkManifest is CheckJSON for a manifest, or a list that is one.
func checkManifest(data []byte) error { return checkJSON(data, min(valuesIn(data), maxValues)) }

func valuesIn(data []byte) int { return max(minValues, len(data)/bytesPerValue) }

// checkJSON refuses what two JSON parsers may read differently: a key twice in
// one object, also in capitals (many match keys without regard to case), bytes
// after the value, invalid UTF-8, deep nesting, more than so many values.
func checkJSON(data []byte, most int) error {
	if !utf8.Valid(data) {
		return errors.New("invalid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0, &most); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("data after the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int, left *int) error {
	if *left--; *left < 0 {
		return fmt.Errorf("%w: more values than a text of this size may hold", ErrTooLarge)
	}
	if depth > maxDepth {
		return fmt.Errorf("JSON nested more than %d deep", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return notEOF(err)
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]struct{}{}
	for dec.More() {
		if delim == '{' {
			tok, err := dec.Token()
			if err != nil {
				return notEOF(err)
			}
			key, _ := tok.(string)
			folded := strings.ToLower(strings.ToUpper(key))
			if _, twice := seen[folded]; twice {
				return fmt.Errorf("key %q twice in one object", shorten(key))
			}
			seen[folded] = struct{}{}
		}
		if err := checkValue(dec, depth+1, left); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return notEOF(err)
}

func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// object is a JSON object whose keys are compared exactly, unlike those of
// struct fields in encoding/json.
type object map[string]json.RawMessage

func parseObject(raw json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("null where an object is expected")
	}
	return o, nil
}

// read decodes the value of a key into v. An absent key is no error and leaves
// v alone; null is one.
func (o object) read(key string, v any) error {
	raw, ok := o[key]
	if !ok {
		return nil
	}
	if string(raw) == "null" {
		return fmt.Errorf("%s: null", key)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// strings reads an object of strings. Null values are refused.
func (o object) strings(key string) (map[string]string, error) {
	var raw map[string]*string
	if err := o.read(key, &raw); err != nil {
		return nil, err
	}
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		if v == nil {
			return nil, fmt.Errorf("%s: %q is null", key, shorten(k))
		}
		out[k] = *v
	}
	return out, nil
}
