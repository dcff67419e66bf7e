package ceremony

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// place is a workspace whose keys are in variables.
type place struct {
	t    testing.TB
	dir  string
	keys map[string]string
	*metadata.Workspace
}

// newPlace is a workspace of two root keys and a spare, which has staged the first root and targets.
func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{t: t, dir: filepath.Join(t.TempDir(), "ws"), keys: map[string]string{}}
	w, err := metadata.Init(p.dir, metadata.InitOptions{
		Repository: "registry.example/trust", Now: func() time.Time { return now }, Env: p.env,
		Keys: map[string][]string{
			"root": {p.uri("root-a"), p.uri("root-b"), p.uri("root-c")}, "targets": {p.uri("rel")},
			"snapshot": {p.uri("online")}, "timestamp": {p.uri("online")},
		},
	})
	p.must(err)
	t.Cleanup(func() { _ = w.Close() })
	p.Workspace = w
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) env(name string) (string, bool) {
	v, ok := p.keys[name]
	return v, ok
}

func (p *place) uri(name string) string {
	if p.keys[name] == "" {
		_, key, err := ed25519.GenerateKey(nil)
		p.must(err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		p.must(err)
		p.keys[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return "env:" + name
}

func (p *place) key(name string) metadata.SigningKey {
	p.t.Helper()
	keys, err := metadata.OpenKeys([]string{p.uri(name)}, metadata.OpenKeysOptions{Env: p.env})
	p.must(err)
	return keys[0]
}

func (p *place) start(roles ...string) *Ceremony {
	p.t.Helper()
	c, err := Start(p.Workspace, StartOptions{Roles: roles, Message: "why", File: "f.tufc", Now: now})
	p.must(err)
	return c
}

// again is the ceremony as another person reads it.
func (p *place) again(c *Ceremony) *Ceremony {
	p.t.Helper()
	data, err := c.Marshal()
	p.must(err)
	other, err := Parse(data)
	p.must(err)
	return other
}

func (p *place) sign(c *Ceremony, keys ...string) []byte {
	p.t.Helper()
	var open []metadata.SigningKey
	for _, name := range keys {
		open = append(open, p.key(name))
	}
	data, err := c.Sign(p.t.Context(), open...)
	p.must(err)
	return data
}

// publish makes what is staged the base, as it stands.
func (p *place) publish() {
	p.t.Helper()
	r, err := p.Assemble(p.t.Context(), nil, metadata.AssembleOptions{Now: now})
	p.must(err)
	p.must(p.Published(r, "sha256:"+strings.Repeat("0", 64), "tuf", now))
}

// The txid is what sha256sum says of the bytes to sign, of all roles one behind the other.
func TestTxID(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	all := []byte{}
	for _, role := range []string{"root", "targets"} {
		payload, err := p.Payload(role)
		p.must(err)
		all = append(all, payload...)
		sum := sha256.Sum256(all)
		c := p.start([]string{"root", "targets"}[:1+strings.Count(role, "targets")]...)
		if c.TxID != hex.EncodeToString(sum[:]) || !Names(Short(c.TxID), c.TxID) || Names("", c.TxID) || len(Short(c.TxID)) != 14 {
			t.Errorf("%s: txid %s, short %s", role, c.TxID, Short(c.TxID))
		}
		p.must(Abort(p.Workspace, c.TxID))
	}
}

// A file comes back as it was, and no other way.
func TestParseIsStrict(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.start("root")
	p.sign(c, "root-a")
	data, err := c.Marshal()
	p.must(err)
	if again, err := p.again(c).Marshal(); err != nil || !bytes.Equal(again, data) {
		t.Errorf("it came back otherwise: %v", err)
	}
	var compact bytes.Buffer
	p.must(json.Compact(&compact, data))
	if _, err := Parse(compact.Bytes()); err != nil {
		t.Errorf("without spaces: %v", err)
	}
	unsigned, err := p.start("root").Marshal()
	p.must(err)
	replace := func(from []byte, old, next string) []byte {
		if !bytes.Contains(from, []byte(old)) {
			t.Fatalf("there is no %s", old)
		}
		return bytes.Replace(from, []byte(old), []byte(next), 1)
	}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":             {nil, ErrFormat},
		"another document":    {[]byte(`{"format":"tufoci"}`), ErrFormat},
		"a later version":     {replace(data, `"version": 1,`, `"version": 2,`), ErrNewerFormat},
		"version zero":        {replace(data, `"version": 1,`, `"version": 0,`), ErrFormat},
		"a swapped payload":   {replace(unsigned, `"x-tufoci-expires": 31536000`, `"x-tufoci-expires": 31536001`), ErrFormat},
		"changed when signed": {replace(data, `"x-tufoci-expires": 31536000`, `"x-tufoci-expires": 31536001`), metadata.ErrSignature},
		"another txid":        {replace(data, c.TxID, strings.Repeat("0", 64)), ErrFormat},
		"unknown member":      {replace(data, `"txid"`, `"hidden": 1, "txid"`), ErrFormat},
		"a member twice":      {replace(data, `"message": "why"`, `"message": "x", "message": "why"`), ErrFormat},
		"in other letters":    {replace(data, `"message"`, `"Message"`), ErrFormat},
		"no message":          {replace(data, `"message": "why"`, `"message": ""`), ErrFormat},
		"a long message":      {replace(data, `"why"`, `"`+strings.Repeat("w", MaxMessage+1)+`"`), ErrFormat},
		"two documents":       {append(slices.Clone(data), data...), ErrFormat},
		"too large":           {make([]byte, MaxFile+1), ErrFormat},
		"null":                {replace(data, `"contents": []`, `"contents": null`), ErrFormat},
	} {
		if got, err := Parse(tt.data); !errors.Is(err, tt.want) || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := Parse(replace(data, c.TxID, strings.Repeat("0", 64))); err == nil || !strings.Contains(err.Error(), "what it would have you sign is "+c.TxID) {
		t.Errorf("another txid: %v", err)
	}
	_, err = Start(p.Workspace, StartOptions{Roles: []string{"root"}, Now: now})
	if !errors.Is(err, metadata.ErrInvalid) {
		t.Errorf("without a message: %v", err)
	}
}

// Several people sign at the same time, each a copy; what they send back comes together in any order, in any form, any
// number of times. What is of another ceremony is refused whole.
func TestAdd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.start("root", "targets")
	a, b := p.again(c), p.again(c)
	fromA := p.sign(a, "root-a")
	p.sign(b, "root-b", "rel")
	copyB, err := b.Marshal()
	p.must(err)
	payload, err := c.Payload("root")
	p.must(err)
	detached, err := metadata.SignPayload(t.Context(), p.key("root-c"), payload)
	p.must(err)
	fromC, err := detached.Marshal()
	p.must(err)

	for _, order := range [][][]byte{{fromA, copyB, fromC, fromA}, {fromC, fromA, copyB, copyB}} {
		to := p.again(c)
		for _, data := range order {
			_, err := to.Add(data, "")
			p.must(err)
		}
		if _, err := to.Add(detached.Sig, "root-c"); err != nil {
			t.Errorf("bare: %v", err)
		}
		if lacking, err := to.Incomplete(); err != nil || len(lacking) > 0 {
			t.Errorf("lacking %v, %v", lacking, err)
		}
		if counted, err := to.Signatures(); err != nil || counted[0].Rules[0].Have != 3 {
			t.Errorf("%+v, %v", counted, err)
		}
	}

	p.must(Abort(p.Workspace, c.TxID))
	p.must(p.SetRole([]string{"root"}, metadata.RoleEdit{Expires: 100 * 24 * time.Hour}))
	other := p.start("root", "targets")
	before, err := other.Marshal()
	p.must(err)
	for name, tt := range map[string]struct {
		data []byte
		key  string
		want error
	}{
		"signature file": {fromA, "", ErrOther},
		"copy":           {copyB, "", ErrOther},
		"under its txid": {bytes.Replace(fromA, []byte(c.TxID), []byte(other.TxID), 1), "", metadata.ErrSignature},
		"JSON":           {fromC, "", metadata.ErrSignature},
		"bare":           {detached.Sig, "root-c", metadata.ErrSignature},
		"no key":         {detached.Sig, "", ErrNeedsKey},
		"unknown key":    {detached.Sig, "nobody", metadata.ErrKeyMissing},
		"empty":          {fmt.Appendf(nil, `{"format":%q,"version":1,"txid":%q,"signatures":[]}`, signatureFormat, other.TxID), "", metadata.ErrSignature},
		"too large":      {append(bytes.Repeat([]byte(" "), maxSignatureFile), fromA...), "", ErrFormat},
	} {
		if _, err := other.Add(tt.data, tt.key); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if after, err := other.Marshal(); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refusal has added something: %v", err)
	}
}

// The base is what is published, byte for byte.
func TestCompareBase(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, err := p.Sign(t.Context(), []string{"root", "targets"}, nil)
	p.must(err)
	p.publish()
	p.must(p.SetRole([]string{"root"}, metadata.RoleEdit{Expires: 100 * 24 * time.Hour}))
	c := p.again(p.start("root"))
	base, err := c.Base()
	p.must(err)
	root := base[0].Data
	newer := bytes.Replace(root, []byte(`"version":1`), []byte(`"version":2`), 1)
	for name, tt := range map[string]struct {
		published []byte
		want      error
	}{
		"the same":    {root, nil},
		"newer":       {newer, ErrMoved},
		"other bytes": {append(slices.Clone(root), ' '), ErrBaseDiffers},
		"none":        {nil, ErrBaseDiffers},
	} {
		err := c.CompareBase(t.Context(), func(context.Context, string) ([]byte, error) { return tt.published, nil })
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	broken := errors.New("broken")
	if err := c.CompareBase(t.Context(), func(context.Context, string) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A refused apply leaves the workspace as it was, and the ceremony open.
func TestApply(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.start("root")
	p.sign(c, "root-a")
	refused := func(want error) {
		t.Helper()
		before := p.files()
		if _, err := Apply(p.Workspace, c); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if after := p.files(); before != after {
			t.Error("a refusal has changed the workspace")
		}
	}
	refused(ErrIncomplete)
	p.sign(c, "root-b")
	c.Repository = "registry.example/other"
	refused(ErrOther)
	c.Repository = p.Config().Repository

	p.must(Abort(p.Workspace, c.TxID))
	p.must(p.SetRole([]string{"root"}, metadata.RoleEdit{Expires: 100 * 24 * time.Hour}))
	refused(metadata.ErrChanged)
	p.must(p.SetRole([]string{"root"}, metadata.RoleEdit{Expires: 365 * 24 * time.Hour})) // the same bytes again

	for range 2 { // the second finds nothing to do
		if _, err := Apply(p.Workspace, c); err != nil {
			t.Fatal(err)
		}
	}
	if open := p.Frozen(); len(open) > 0 {
		t.Errorf("still frozen: %v", open)
	}
	p.sign(p.start("targets", "root"), "rel")
	_, err := p.Workspace.Sign(t.Context(), []string{"targets"}, nil)
	p.must(err)
	p.publish()
	refused(ErrMoved)
}

// files are the bytes below .tufoci, in one string.
func (p *place) files() string {
	p.t.Helper()
	var out strings.Builder
	p.must(filepath.WalkDir(filepath.Join(p.dir, ".tufoci"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %x\n", path, data)
		return err
	}))
	return out.String()
}

// A new key that has not signed is named.
func TestSilent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, err := p.Workspace.Sign(t.Context(), []string{"root", "targets"}, nil)
	p.must(err)
	p.publish()
	_, err = p.AddKeyURI("root-d", p.uri("root-d"), "")
	p.must(err)
	p.must(p.SetRole([]string{"root"}, metadata.RoleEdit{AddKeys: []string{"root-d"}, RemoveKeys: []string{"root-c"}}))
	c := p.start("root")
	for _, want := range []int{1, 0} {
		if silent, err := c.Silent(); err != nil || len(silent) != want || want == 1 && silent[0].Name != "root-d" {
			t.Errorf("%v, %v", silent, err)
		}
		p.sign(c, "root-d")
	}
}

// What others wrote stays text in a runbook: it opens no line, no table cell, no markup of its own.
func TestRunbookQuotes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.start("root")
	c.Message = "x`\n# Approved | \u202e<script>\x1b[2J"
	text, err := c.Runbook("dir/root v1 `x`.tufc")
	p.must(err)
	for _, bad := range []string{"\n# Approved", "\x1b", "\u202e", "x`\n", " | <"} {
		if strings.Contains(text, bad) {
			t.Errorf("it has %q", bad)
		}
	}
	for _, want := range []string{Short(c.TxID), c.TxID, "tufoci ceremony sign \"root v1 'x'.tufc\" --key", "openssl pkeyutl -sign -rawin", "☐"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q", want)
		}
	}
}
