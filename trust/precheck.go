package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/stranger"
)

const (
	// maxNumber is the largest whole number that all JSON parsers agree on.
	maxNumber = 1<<53 - 1
	// maxDepth of nesting; signed metadata needs 8, the rest is for custom.
	maxDepth = 32
	// A file of smallFile bytes, for which nothing that is signed has to vouch (the
	// default of the limit unhashed), has minValues JSON values at most, and a longer
	// one more only as it grows by bytesPerValue each: a parsed value takes many times
	// the memory of "0,", before any signature is verified. An entry of a targets role has five values in 144 bytes, one of a
	// snapshot with hashes five in 130, so that files of 1 MiB stay below; without
	// hashes it is two in 30, which is enough for 16 384 bins.
	smallFile     = 1 << 20
	minValues     = 40 << 10
	bytesPerValue = 8
)

// noLimit is for what is stored, and was held to the limit values when it was read.
const noLimit = math.MaxInt64

// Precheck is the strict check of a metadata file that comes before anything
// else parses it. role is the role that the file name says: root, timestamp,
// snapshot, targets or the name of a delegated role.
//
// It refuses what is no single JSON text in UTF-8, members given twice or in two
// spellings, missing members, values of another type than TUF spec section 4
// gives them, versions that are not whole numbers from 1 to 2^53-1, a spec_version
// other than 1, too many values, path_hash_prefixes, and delegations to roles
// with the name of a top-level role. Unknown members may hold anything. It
// verifies nothing. Errors are ErrMalformed.
func Precheck(role string, data []byte) error { return precheckWithin(role, data, noLimit) }

// precheckWithin is Precheck of a file that may have so many values.
func precheckWithin(role string, data []byte, values int64) error {
	err := precheck(role, data, values)
	if err == nil {
		return nil
	}
	e := &VerificationError{Kind: ErrMalformed, Role: role, Detail: shorten(err.Error())}
	if over, ok := errors.AsType[*fetcher.LimitError](err); ok {
		e.Detail, e.Err = "", over
	}
	return e
}

// maxDetail is how much of a message about foreign bytes is kept, in bytes.
const maxDetail = 512

// shorten keeps a message short that may quote what a stranger has sent.
func shorten(s string) string {
	return stranger.Cut(s, maxDetail)
}

func precheck(role string, data []byte, values int64) error {
	switch {
	case len(data) == 0:
		return errors.New("the file is empty")
	case !utf8.Valid(data):
		return errors.New("not UTF-8")
	case !json.Valid(data):
		return errors.New("not a JSON text")
	}
	c := &checker{dec: json.NewDecoder(bytes.NewReader(data)), left: min(valuesIn(data), values), most: values, fits: valuesIn(data)}
	c.dec.UseNumber()
	if err := c.value(c.file(role), 0); err != nil {
		if len(c.path) == 0 {
			return err
		}
		return fmt.Errorf("%s: %w", strings.Join(c.path, "."), err)
	}
	return nil
}

// valuesIn is how many JSON values a file may have by its size, whatever the limits.
func valuesIn(data []byte) int64 {
	if len(data) <= smallFile {
		return minValues
	}
	return max(minValues, int64(len(data))/bytesPerValue)
}

// rule says what one position of a document may hold. The zero rule takes
// anything.
type rule struct {
	kind     kind
	members  map[string]*rule // of an object: the members that mean something
	required []string         // of an object
	each     *rule            // of an array: every element; of an object: every member not in members
	text     func(string) error
	number   func(json.Number) error
	finish   func(seen map[string]bool) error // after the last member of an object
}

type kind string

const (
	anything  kind = ""
	anObject  kind = "an object"
	anArray   kind = "an array"
	aString   kind = "a string"
	aNumber   kind = "a number"
	aBool     kind = "true or false"
	aNullKind kind = "null"
)

// checker walks the tokens of one document. path is where it stands, for errors.
type checker struct {
	dec  *json.Decoder
	path []string
	left int64 // values that may still come
	most int64 // by the limit values
	fits int64 // by the size of the file

	keyType, public string // of the key being read
	names           map[string]bool
}

// tooMany says which bound on the number of values is reached.
func (c *checker) tooMany() error {
	if c.most > c.fits {
		return errors.New("more values than a file of this size may hold")
	}
	return &fetcher.LimitError{Title: "the file", Size: c.most + 1, Max: c.most, Unit: "values", Limit: "values"}
}

var errTooDeep = errors.New("nested too deeply")

func (c *checker) value(r *rule, depth int) error {
	if c.left--; c.left < 0 {
		return c.tooMany()
	}
	if depth > maxDepth {
		return errTooDeep
	}
	token, err := c.dec.Token()
	if err != nil {
		return err
	}
	if found := kindOf(token); r.kind != anything && found != r.kind {
		return fmt.Errorf("%s is needed, not %s", r.kind, found)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return c.object(r, depth)
		}
		return c.array(r, depth)
	case string:
		if r.text != nil {
			return r.text(token)
		}
	case json.Number:
		if r.number != nil {
			return r.number(token)
		}
	}
	return nil
}

func kindOf(token json.Token) kind {
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return anObject
		}
		return anArray
	case string:
		return aString
	case json.Number:
		return aNumber
	case bool:
		return aBool
	}
	return aNullKind
}

func (c *checker) array(r *rule, depth int) error {
	element := r.each
	if element == nil {
		element = &rule{}
	}
	for i := 0; c.dec.More(); i++ {
		c.path = append(c.path, strconv.Itoa(i))
		if err := c.value(element, depth+1); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	_, err := c.dec.Token()
	return err
}

func (c *checker) object(r *rule, depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		token, err := c.dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		c.path = append(c.path, name)
		if seen[name] {
			return errors.New("given twice")
		}
		seen[name] = true
		member, err := r.member(name)
		if err != nil {
			return err
		}
		if err := c.value(member, depth+1); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	if _, err := c.dec.Token(); err != nil {
		return err
	}
	for _, name := range r.required {
		if !seen[name] {
			return fmt.Errorf("%q is missing", name)
		}
	}
	if r.finish != nil {
		return r.finish(seen)
	}
	return nil
}

// member returns the rule of a member. encoding/json matches member names
// without regard to case, so a second spelling of a known one is refused.
func (r *rule) member(name string) (*rule, error) {
	if known, ok := r.members[name]; ok {
		return known, nil
	}
	for known := range r.members {
		if strings.EqualFold(known, name) {
			return nil, fmt.Errorf("is spelt %q", known)
		}
	}
	if r.each != nil {
		return r.each, nil
	}
	return &rule{}, nil
}
