package metadata

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// handover is a repository in which root-c takes the place of root-a, staged; two of three keys sign root.
func handover(t *testing.T) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	o := w.initOptions()
	o.Keys["root"] = append(o.Keys["root"], w.uri("root-x"))
	o.Thresholds["root"] = 2
	ws := w.init(o)
	w.sign(ws)
	w.publish(ws)
	w.addKey(ws, "root-c")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-c"}, RemoveKeys: []string{"root-a"}}))
	return w, ws
}

// key opens a key as somebody without the workspace does.
func (w *world) key(name string) SigningKey {
	w.t.Helper()
	keys, err := OpenKeys([]string{w.uri(name)}, OpenKeysOptions{Env: w.env})
	w.must(err)
	return keys[0]
}

// A changeset needs no workspace to show what the workspace shows, and comes back from its files as it was.
func TestChangesetShowsWhatTheWorkspaceShows(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	_, err := ws.AddTarget("notes", []byte("hello"), TargetOptions{})
	w.must(err)
	c, err := ws.Changeset()
	w.must(err)
	if !slices.Equal(c.Roles(), []string{"root", "targets"}) {
		t.Fatalf("roles %v", c.Roles())
	}
	files, err := c.Files()
	w.must(err)
	c, err = NewChangeset(files)
	w.must(err)
	shown := func(diffs []RoleDiff, signed []RoleSignatures, errs ...error) string {
		w.must(errors.Join(errs...))
		for i := range signed {
			for k := range signed[i].Rules {
				for n := range signed[i].Rules[k].Keys {
					key := &signed[i].Rules[k].Keys[n]
					key.URI, key.Seen = "", KeySeen{} // of the workspace alone
				}
			}
		}
		out, err := json.Marshal([]any{diffs, signed})
		w.must(err)
		return string(out)
	}
	here, err1 := ws.Diff("root", "targets")
	counted, err2 := ws.Signatures()
	there, err3 := c.Diff()
	elsewhere, err4 := c.Signatures()
	if a, b := shown(here, counted, err1, err2), shown(there, elsewhere, err3, err4); a != b {
		t.Errorf("the workspace shows %s, the changeset %s", a, b)
	}
	for _, role := range c.Roles() {
		a, err1 := ws.Payload(role)
		b, err2 := c.Payload(role)
		if w.must(errors.Join(err1, err2)); string(a) != string(b) {
			t.Errorf("%s: other bytes to sign", role)
		}
	}
	if old, next, err := c.Contents(there[1].Changes[0]); old != nil || string(next) != "hello" || err != nil {
		t.Errorf("contents %q, %q, %v", old, next, err)
	}
}

// A role goes along with those that decide who signs it, and nothing starts that could not be published.
func TestChangesetRefuses(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"rel"}}))
	_, err := ws.AddTarget("charts/a", []byte("a"), TargetOptions{Role: "team"})
	w.must(err)
	_, err = ws.Changeset("team")
	wantErr(t, err, ErrInvalid, "name it too")
	_, err = ws.Changeset("root", "targets", "team")
	w.must(err)
	_, err = ws.Changeset("nobody")
	wantErr(t, err, ErrInvalid)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{RemoveKeys: []string{"root-x"}, NoSpareKey: true}))
	w.must(ws.UpdateConfig(func(c *Config) error { c.NoSpareKey = false; return nil }))
	_, err = ws.Changeset("root")
	wantErr(t, err, ErrLint, "spare")
}

// What somebody sends is held to itself before anything of it is shown.
func TestNewChangesetRefuses(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	_, err := ws.Sign(t.Context(), []string{"root"}, []string{"root-b"})
	w.must(err)
	c, err := ws.Changeset("root")
	w.must(err)
	good, err := c.Files()
	w.must(err)
	stamp, err := bytesOf(ws.base.role("timestamp"))
	w.must(err)
	edit := func(old, next string) func(*ChangesetFiles) {
		return func(f *ChangesetFiles) {
			f.Next[0].Data = []byte(strings.Replace(string(f.Next[0].Data), old, next, 1))
		}
	}
	for name, tt := range map[string]struct {
		change func(*ChangesetFiles)
		want   error
	}{
		"nothing":                  {func(f *ChangesetFiles) { f.Next = nil }, ErrInvalid},
		"a role twice":             {func(f *ChangesetFiles) { f.Next = append(f.Next, f.Next[0]) }, ErrInvalid},
		"no base":                  {func(f *ChangesetFiles) { f.Base = nil }, ErrInvalid},
		"a base of its own":        {func(f *ChangesetFiles) { f.Base[0].Data = f.Next[0].Data }, ErrInvalid},
		"more base than is needed": {func(f *ChangesetFiles) { f.Base = append(f.Base, RoleData{"timestamp", stamp}) }, ErrInvalid},
		"another type":             {func(f *ChangesetFiles) { f.Next[0].Role = "targets" }, ErrDamaged},
		"a role that nobody gives": {func(f *ChangesetFiles) {
			f.Next[0] = RoleData{"team", []byte(`{"signed":{"_type":"targets","version":1}}`)}
		}, ErrDamaged},
		"a version left out":        {edit(`"version":2`, `"version":3`), ErrInvalid},
		"a signature over other":    {edit(`"version":2`, `"version":2,"x":1`), ErrSignature},
		"a signature of no rule":    {edit(`"keyid":"`, `"keyid":"00`), ErrSignature},
		"a member twice":            {edit(`"version":2`, `"version":2,"version":2`), ErrDamaged},
		"a member in other letters": {edit(`"spec_version"`, `"expire\u017f":"2099-01-01T00:00:00Z","spec_version"`), ErrDamaged},
		"a name for another key":    {func(f *ChangesetFiles) { f.Names = map[string]string{checksum(nil): "root-z"} }, ErrInvalid},
		"a name that is none":       {func(f *ChangesetFiles) { f.Names = map[string]string{first(f.Names): "root-a\n✓"} }, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := ChangesetFiles{Base: slices.Clone(good.Base), Next: slices.Clone(good.Next), Names: good.Names}
			tt.change(&f)
			if c, err := NewChangeset(f); !errors.Is(err, tt.want) || c != nil && err == nil {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func first(m map[string]string) string {
	for k := range m {
		return k
	}
	return ""
}

// Signatures come in any order and are never lost; the same again is no error; one that does not count is refused, and
// the good ones beside it are not taken either.
func TestChangesetAccumulates(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	c, err := ws.Changeset("root")
	w.must(err)
	copyOf := func() *Changeset {
		f, err := c.Files()
		w.must(err)
		other, err := NewChangeset(f)
		w.must(err)
		return other
	}
	a, b := copyOf(), copyOf()
	signedA, err := a.Sign(t.Context(), w.key("root-a"))
	w.must(err)
	signedB, err := b.Sign(t.Context(), w.key("root-b"), w.key("root-x"))
	w.must(err)
	_, err = c.Sign(t.Context(), w.key("rel"))
	wantErr(t, err, ErrKeyMissing, "root takes")

	_, err = c.Merge(b)
	w.must(err)
	bad := signedA[0]
	bad.Payload = checksum([]byte("other"))
	_, err = c.Add(signedA[0], bad)
	wantErr(t, err, ErrSignature, "over other bytes")
	bad = signedA[0]
	bad.Key = signedB[0].Key
	_, err = c.Add(signedA[0], bad)
	wantErr(t, err, ErrSignature)
	bad = signedA[0]
	bad.Key = w.key("rel").Key()
	_, err = c.Add(bad)
	wantErr(t, err, ErrSignature, "may not sign")
	if n := have(w, c); n != [2]int{2, 2} {
		t.Errorf("%v signatures after refusals", n)
	}
	for range 2 {
		roles, err := c.Add(signedA[0], signedB[0])
		if w.must(err); !slices.Equal(roles, []string{"root"}) {
			t.Errorf("roles %v", roles)
		}
	}
	if n := have(w, c); n != [2]int{3, 2} {
		t.Errorf("%v signatures", n)
	}
	again, err := b.Sign(t.Context(), w.key("root-b"))
	if w.must(err); string(again[0].Sig) != string(signedB[0].Sig) {
		t.Error("a second signature of the same key")
	}

	_, err = ws.AddSignatures(c)
	w.must(err)
	w.publish(ws)
	w.must(w.find(ws).refresh(w.channel, w.now))
}

// have counts the signatures of root by its old and its new rules.
func have(w *world, c *Changeset) [2]int {
	w.t.Helper()
	s, err := c.Signatures()
	w.must(err)
	return [2]int{s[0].Rules[0].Have, s[0].Rules[1].Have}
}

// Signatures go only to what was signed, on the base that it was signed for.
func TestAddSignaturesRefuses(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	c, err := ws.Changeset("root")
	w.must(err)
	_, err = c.Sign(t.Context(), w.key("root-b"), w.key("root-x"))
	w.must(err)
	w.must(ws.Close())
	for name, tt := range map[string]struct {
		change func(*Workspace)
		want   error
	}{
		"other content": {func(ws *Workspace) { w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 90 * day})) }, ErrChanged},
		"dropped":       {func(ws *Workspace) { w.must(ws.Reset("root")) }, ErrChanged},
		"base":          {func(ws *Workspace) { ws.base.roots[0].sum = checksum(nil) }, ErrConflict},
	} {
		victim := w.clone()
		ws := victim.open()
		tt.change(ws)
		before := victim.files()
		if _, err := ws.AddSignatures(c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if !equalFiles(before, victim.files()) {
			t.Errorf("%s: a refusal has changed the workspace", name)
		}
	}
}

func equalFiles(a, b map[string]string) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}
