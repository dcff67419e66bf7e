package ceremony

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/metadata"
)

// promised are the errors of whoever reads a ceremony.
var promised = []error{
	ErrFormat, ErrNewerFormat, ErrOther, ErrNeedsKey, metadata.ErrInvalid, metadata.ErrDamaged, metadata.ErrNoRole, metadata.ErrSignature, metadata.ErrKey, metadata.ErrPayload,
}

func isPromised(err error) bool {
	return slices.ContainsFunc(promised, func(p error) bool { return errors.Is(err, p) })
}

// wouldSign finds the txid that a file should have stated.
var wouldSign = regexp.MustCompile(`its txid is ([0-9a-f]{64}), but what it would have you sign is ([0-9a-f]{64})`)

// A ceremony that is read is written as it was: it says nothing beside what people are shown and sign.
func FuzzParse(f *testing.F) {
	p := newPlace(f)
	c := p.start("root")
	data, err := c.Marshal()
	p.must(err)
	f.Add(data)
	if _, err := c.Add(p.sign(c, "root-a"), ""); err != nil {
		f.Fatal(err)
	}
	data, err = c.Marshal()
	p.must(err)
	f.Add(data)
	f.Add([]byte(`{"format":"tufoci-ceremony","version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			// Whoever changes what is to be signed can state the txid of that, too.
			if m := wouldSign.FindStringSubmatch(err.Error()); m != nil {
				data = bytes.Replace(data, []byte(m[1]), []byte(m[2]), 1)
				c, err = Parse(data)
			}
		}
		if err != nil {
			if !isPromised(err) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		out, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var had, has bytes.Buffer
		if err := errors.Join(json.Compact(&had, data), json.Compact(&has, out)); err != nil || !bytes.Equal(had.Bytes(), has.Bytes()) {
			t.Fatalf("%v: %s, then %s", err, data, out)
		}
		again, err := Parse(out)
		if err != nil || again.TxID != c.TxID {
			t.Fatalf("%s, then %v", out, err)
		}
		if err := c.CompareBase(t.Context(), func(context.Context, string) ([]byte, error) { return nil, nil }); err != nil {
			if _, ok := errors.AsType[*BaseError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		}
	})
}

// Whatever a signer sends back, nothing is lost of what was there, and only signatures that verify are added.
func FuzzAdd(f *testing.F) {
	p := newPlace(f)
	c := p.start("root")
	file, err := c.Marshal()
	p.must(err)
	for _, key := range []string{"root-a", "root-b"} {
		f.Add(p.sign(c, key), "")
	}
	f.Add(file, "")
	f.Add([]byte("AAAA"), "root-a")
	f.Add([]byte(`{"format":"tufoci-ceremony-signature","version":1,"txid":"`+c.TxID+`","signatures":[]}`), "")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		c, err := Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		roles, err := c.Add(data, key)
		if err != nil && !isPromised(err) && !errors.Is(err, metadata.ErrKeyMissing) {
			t.Fatalf("%T: %v", err, err)
		}
		out, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil || again.TxID != c.TxID {
			t.Fatalf("after signatures for %q it is no ceremony any more: %v", roles, err)
		}
	})
}
