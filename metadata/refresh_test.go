package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// given opens keys as a refresh is given them.
func (w *world) given(names ...string) []SigningKey {
	w.t.Helper()
	uris := make([]string, len(names))
	for i, name := range names {
		uris[i] = w.uri(name)
	}
	keys, err := OpenKeys(uris, OpenKeysOptions{Env: w.env})
	w.must(err)
	return keys
}

func (w *world) refresh(o RefreshOptions) (*Release, error) {
	if o.Now.IsZero() {
		o.Now = w.now
	}
	return Refresh(w.t.Context(), w.head(), o)
}

// foreign changes what a role says, as another program may have written it: signed with the keys named, and listed in
// snapshot and timestamp, which online signs.
func (w *world) foreign(role string, edit func(signed map[string]json.RawMessage), keys ...string) {
	w.t.Helper()
	h, err := newHeadState(w.head(), nil)
	w.must(err)
	v := newParsedFiles().viewOf(h.role)
	change := func(role string, edit func(map[string]json.RawMessage), keys ...string) *roleFile {
		f := h.role(role)
		e, err := f.envelope()
		w.must(err)
		signed := map[string]json.RawMessage{}
		w.must(json.Unmarshal(e.Signed, &signed))
		edit(signed)
		e.Signed, err = json.Marshal(signed)
		w.must(err)
		e.Signatures = nil
		rules, err := v.rules(role)
		w.must(err)
		for _, k := range w.given(keys...) {
			_, err := e.sign(w.t.Context(), k.Signer, rules)
			w.must(err)
		}
		data, err := json.Marshal(e)
		w.must(err)
		next, err := newRoleFile(role, data)
		w.must(err)
		w.channel[Title(role, f.version)] = File{Name: Title(role, f.version), Data: data, SHA256: next.sum, Length: next.length}
		return next
	}
	f := change(role, edit, keys...)
	list := func(signed map[string]json.RawMessage) {
		meta := map[string]*tuf.MetaFiles{}
		w.must(json.Unmarshal(signed["meta"], &meta))
		m, err := describe(f)
		w.must(err)
		meta[f.role+".json"] = m
		signed["meta"], err = json.Marshal(meta)
		w.must(err)
	}
	if role != tuf.SNAPSHOT && role != tuf.TIMESTAMP {
		f = change(tuf.SNAPSHOT, list, "online")
	}
	if role != tuf.TIMESTAMP {
		change(tuf.TIMESTAMP, list, "online")
	}
}

func TestRefreshWhatIsDue(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for name, c := range map[string]struct {
		after   time.Duration
		keys    []string
		o       RefreshOptions
		changed []string
		waiting []string
	}{
		"fresh":                      {after: 23 * hour, keys: []string{"online", "rel"}},
		"online":                     {after: 25 * hour, keys: []string{"online", "rel"}, changed: []string{"snapshot", "timestamp"}},
		"expired":                    {after: 30 * day, keys: []string{"online", "rel"}, changed: []string{"snapshot", "timestamp"}},
		"a length of time":           {after: 25 * hour, keys: []string{"online"}, o: RefreshOptions{Within: Window{Left: 24 * hour}}},
		"within a length of time":    {after: 6*day + hour, keys: []string{"online"}, o: RefreshOptions{Within: Window{Left: 24 * hour}}, changed: []string{"snapshot", "timestamp"}},
		"a share":                    {after: 3 * day, keys: []string{"online"}, o: RefreshOptions{Within: Window{Percent: 50}}},
		"within a share":             {after: 4 * day, keys: []string{"online"}, o: RefreshOptions{Within: Window{Percent: 50}}, changed: []string{"snapshot", "timestamp"}},
		"targets with its key":       {after: 136 * day, keys: []string{"online", "rel"}, changed: []string{"targets", "snapshot", "timestamp"}},
		"targets without its key":    {after: 136 * day, keys: []string{"online"}, changed: []string{"snapshot", "timestamp"}, waiting: []string{"targets"}},
		"targets that is staged":     {after: 136 * day, keys: []string{"online", "rel"}, o: RefreshOptions{Leave: []string{"targets"}}, changed: []string{"snapshot", "timestamp"}, waiting: []string{"targets"}},
		"root is a matter of people": {after: 310 * day, keys: []string{"online", "rel", "root-a", "root-b"}, changed: []string{"targets", "snapshot", "timestamp"}, waiting: []string{"root"}},
		"forced":                     {keys: []string{"online", "rel"}, o: RefreshOptions{Force: true}, changed: []string{"targets", "snapshot", "timestamp"}},
		"forced without targets":     {keys: []string{"online"}, o: RefreshOptions{Force: true}, changed: []string{"snapshot", "timestamp"}},
		"keys of nothing else":       {keys: []string{"root-a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := standard(t)
			before := w.head()
			w.now = w.now.Add(c.after)
			c.o.Keys = w.given(c.keys...)
			r, err := w.refresh(c.o)
			w.must(err)
			wantRoles(t, r, c.changed...)
			var waiting []string
			for _, role := range r.Waiting {
				waiting = append(waiting, role.Role)
			}
			if !slices.Equal(waiting, c.waiting) || r.Unchanged != (c.changed == nil) {
				t.Errorf("waiting %v, want %v; unchanged %v", waiting, c.waiting, r.Unchanged)
			}
			for _, old := range before.Files {
				role, _, isRole := ParseTitle(old.Name)
				i := slices.IndexFunc(r.Files, func(f File) bool { return f.Name == old.Name })
				if gone := i < 0; isRole && gone != slices.Contains(c.changed, role) && role != "timestamp" {
					t.Errorf("%s: gone is %v", old.Name, gone)
				}
				if i >= 0 && !slices.Contains(c.changed, role) && r.Files[i].SHA256 != old.SHA256 {
					t.Errorf("%s has other bytes", old.Name)
				}
			}
			if r.Unchanged {
				return
			}
			w.push(r) // clients take it
			if again, err := w.refresh(RefreshOptions{Keys: c.o.Keys, Leave: c.o.Leave}); err != nil || !again.Unchanged {
				t.Errorf("the next refresh: %v, %v", again, err)
			}
		})
	}
}

func TestRefreshWithoutTheRightKeys(t *testing.T) {
	t.Parallel()
	w, _ := standard(t)
	w.now = w.now.Add(2 * day)
	id, err := w.given("online")[0].Key().ID()
	w.must(err)
	for name, o := range map[string]RefreshOptions{
		"none":          {},
		"of others":     {Keys: w.given("rel", "root-a")},
		"forced":        {Keys: w.given("rel"), Force: true},
		"cannot follow": {Keys: w.given("rel"), Within: Window{Left: 200 * day}},
	} {
		_, err := w.refresh(o)
		wantErr(t, err, ErrKeyMissing, id, "0 of 1 required by root v1")
		if need, ok := errors.AsType[*NoKeysError](err); !ok || len(need.Roles) == 0 || need.Roles[0].Rules[0].Have != 0 {
			t.Errorf("%s: %+v", name, err)
		}
	}

	// Something else is due: who holds the timestamp's key goes on, others have the wrong ones.
	w.now = start
	within := Window{Left: 100 * day}
	w.foreign("targets", func(signed map[string]json.RawMessage) {
		signed["expires"] = json.RawMessage(`"2026-12-23T11:00:00Z"`)
	}, "rel")
	if r, err := w.refresh(RefreshOptions{Keys: w.given("online")}); err != nil || !r.Unchanged || len(r.Waiting) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = w.refresh(RefreshOptions{Keys: w.given("root-a"), Within: within})
	wantErr(t, err, ErrKeyMissing)
}

func TestRefreshNeedsEveryThreshold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.initOptions()
	o.Keys["targets"] = []string{w.uri("rel"), w.uri("rel-2")}
	o.Thresholds["targets"] = 2
	ws := w.init(o)
	w.sign(ws)
	w.publish(ws)
	w.now = w.now.Add(140 * day)
	r, err := w.refresh(RefreshOptions{Keys: w.given("online", "rel")})
	w.must(err)
	wantRoles(t, r, "snapshot", "timestamp")
	if rule := r.Waiting[0].Rules[0]; r.Waiting[0].Role != "targets" || rule.Have != 1 || rule.Need != 2 || len(rule.Keys) != 2 {
		t.Errorf("waiting %+v", r.Waiting)
	}
	r, err = w.refresh(RefreshOptions{Keys: w.given("online", "rel", "rel-2")})
	w.must(err)
	wantRoles(t, r, "targets", "snapshot", "timestamp")
	w.push(r)
}

// The job that has the old online key is told at its next run, and not when the timestamp is about to end; one that has
// both goes on without a gap.
func TestRefreshByAReplacedKey(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	old := w.given("online")
	_, err := ws.RotateOnline(w.uri("online2"), false)
	w.must(err)
	w.sign(ws)
	if r, err := w.refresh(RefreshOptions{Keys: w.given("online", "online2")}); err != nil || !r.Unchanged {
		t.Fatalf("before: %+v, %v", r, err)
	}
	w.publish(ws)
	id, err := w.given("online2")[0].Key().ID()
	w.must(err)
	for _, after := range []time.Duration{0, 2 * day} {
		w.now = w.now.Add(after)
		_, err = w.refresh(RefreshOptions{Keys: old})
		wantErr(t, err, ErrKeyMissing, "timestamp v2", "0 of 1 required by root v2", id)
	}
	r, err := w.refresh(RefreshOptions{Keys: w.given("online", "online2")})
	w.must(err)
	wantRoles(t, r, "snapshot", "timestamp")
}

// What another program has written stays, but for version, expiry and signatures.
func TestRefreshKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	unknown := `{"a":[1,{"b":true}],"n":1125899906842624,"t":"<é>"}`
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		w, _ := standard(t)
		key := "online"
		if role == "targets" {
			key = "rel"
		}
		w.foreign(role, func(signed map[string]json.RawMessage) {
			signed["x-other"] = json.RawMessage(unknown)
			signed["spec_version"] = json.RawMessage(`"1.0.30"`)
		}, key)
		w.now = w.now.Add(140 * day)
		r, err := w.refresh(RefreshOptions{Keys: w.given("online", "rel")})
		w.must(err)
		i := slices.IndexFunc(r.Files, func(f File) bool { return f.Name == Title(role, 2) })
		var file struct {
			Signed struct {
				Other json.RawMessage `json:"x-other"`
				Spec  string          `json:"spec_version"`
			} `json:"signed"`
		}
		w.must(json.Unmarshal(r.Files[i].Data, &file))
		var got, want bytes.Buffer
		w.must(errors.Join(json.Compact(&got, file.Signed.Other), json.Compact(&want, []byte(unknown))))
		if unescaped := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(got.String()); unescaped != want.String() || file.Signed.Spec != "1.0.30" {
			t.Errorf("%s: x-other %s, spec_version %s", role, unescaped, file.Signed.Spec)
		}
		w.push(r)
	}
}

// A snapshot that lists a role by its version only, as it may, is no reason to sign it; it is mended when it is signed.
func TestRefreshOfSnapshotWithoutHashes(t *testing.T) {
	t.Parallel()
	w, _ := standard(t)
	w.foreign("snapshot", func(signed map[string]json.RawMessage) {
		signed["meta"] = json.RawMessage(`{"targets.json":{"version":1}}`)
	}, "online")
	o := RefreshOptions{Keys: w.given("online")}
	if r, err := w.refresh(o); err != nil || !r.Unchanged {
		t.Fatalf("%+v, %v", r, err)
	}
	w.now = w.now.Add(2 * day)
	r, err := w.refresh(o)
	w.must(err)
	i := slices.IndexFunc(r.Files, func(f File) bool { return f.Name == Title("snapshot", 2) })
	if !strings.Contains(string(r.Files[i].Data), "sha256") {
		t.Errorf("snapshot %s", r.Files[i].Data)
	}
	w.push(r)
}

// Bytes of a target that came with the head go on if they are what is signed.
func TestRefreshTakesTargetsThatAreSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	_, err := ws.AddTarget("a", []byte("of a"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	for data, want := range map[string]string{"of a": "of a", "of b": ""} {
		head := w.head()
		i := slices.IndexFunc(head.Files, func(f File) bool { return strings.HasPrefix(f.Name, "targets/") })
		head.Files[i].Data = []byte(data)
		r, err := Refresh(t.Context(), head, RefreshOptions{Now: w.now, Keys: w.given("dev")})
		w.must(err)
		i = slices.IndexFunc(r.Files, func(f File) bool { return strings.HasPrefix(f.Name, "targets/") })
		if got := r.Files[i]; string(got.Data) != want || got.SHA256 != checksum([]byte("of a")) {
			t.Errorf("%q: %+v", data, got)
		}
	}
}

func TestStatedLife(t *testing.T) {
	t.Parallel()
	for stated, want := range map[string]life{
		``:                         {7 * day, 6 * day},
		`"x-tufoci-expires":86400`: {day, (day / 7 * 6).Truncate(time.Second)},
		`"x-tufoci-expires":86400,"x-tufoci-renew-within":79200`:  {day, 22 * time.Hour},
		`"x-tufoci-expires":86400,"x-tufoci-renew-within":86400`:  {day, (day / 7 * 6).Truncate(time.Second)},
		`"x-tufoci-renew-within":0`:                               {7 * day, 0},
		`"x-tufoci-expires":0`:                                    {7 * day, 6 * day},
		`"x-tufoci-expires":-1,"x-tufoci-renew-within":-1`:        {7 * day, 6 * day},
		`"x-tufoci-expires":9223372036854775807`:                  {7 * day, 6 * day},
		`"x-tufoci-expires":1.5,"x-tufoci-renew-within":"a week"`: {7 * day, 6 * day},
		`"x-tufoci-expires":null`:                                 {7 * day, 6 * day},
	} {
		data := []byte(`{"signatures":[],"signed":{"_type":"timestamp","version":1,"expires":"2026-12-23T11:00:00Z"` + strings.TrimSuffix(","+stated, ",") + `}}`)
		f, err := newRoleFile("timestamp", data)
		if err != nil {
			t.Errorf("%s: %v", stated, err)
			continue
		}
		if got, err := statedLife("timestamp", false, f); err != nil || got != want {
			t.Errorf("%s: %v (%v), want %v", stated, got, err, want)
		}
	}
}

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Window{"24h": {Left: day}, "50%": {Percent: 50}, "100%": {Percent: 100}} {
		if got, err := ParseWindow(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0%", "101%", "-1%", "%", "half", "0s"} {
		_, err := ParseWindow(s)
		wantErr(t, err, ErrInvalid)
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	w, _ := standard(t)
	lives, err := Lives(w.head())
	w.must(err)
	var got []string
	for _, l := range lives {
		got = append(got, l.Role)
		if want := map[string]time.Duration{"root": 60 * day, "targets": 45 * day, "snapshot": 5 * day, "timestamp": 5 * day}[l.Role]; l.Floor() != want {
			t.Errorf("%s: floor %s, want %s", l.Role, l.Floor(), want)
		}
		if l.Version != 1 || len(l.Rules) != 1 || l.Rules[0].Have < 1 || l.Online != (l.Role == "snapshot" || l.Role == "timestamp") {
			t.Errorf("%+v", l)
		}
	}
	if !slices.Equal(got, []string{"root", "targets", "snapshot", "timestamp"}) {
		t.Errorf("roles %v", got)
	}
}

func TestOpenKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.uri("a.b")
	w.uri("a_b")
	_, err := OpenKeys([]string{"env:a.b", "env:nothing"}, OpenKeysOptions{Env: w.env})
	wantErr(t, err, ErrKeyMissing)
	_, err = OpenKeys([]string{"env:a_b", "env://a_b"}, OpenKeysOptions{Env: w.env})
	wantErr(t, err, ErrInvalid, "one passphrase variable")
	_, err = OpenKeys([]string{"pkcs11:x"}, OpenKeysOptions{Env: w.env})
	wantErr(t, err, ErrKeyMissing)
	_, err = OpenKeys([]string{"vault:x"}, OpenKeysOptions{Env: w.env})
	wantErr(t, err, ErrInvalid)
}

// A key of tufoci.yaml is opened when it signs, not before.
func TestSigningKeysAreOpenedLate(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.Close())
	ws = w.open()
	keys, err := ws.SigningKeys()
	w.must(err)
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	if !slices.Equal(names, []string{"online", "rel", "root-a", "root-b"}) || len(ws.opened) != 0 {
		t.Errorf("keys %v, %d opened", names, len(ws.opened))
	}
	w.now = w.now.Add(2 * day)
	r, err := w.refresh(RefreshOptions{Keys: keys})
	w.must(err)
	wantRoles(t, r, "snapshot", "timestamp")
	if len(ws.opened) != 1 {
		t.Errorf("%d keys were opened", len(ws.opened))
	}
	if _, err := ws.SigningKeys("online", "online"); !errors.Is(err, ErrInvalid) {
		t.Errorf("a key twice: %v", err)
	}
	if _, err := ws.SigningKeys("nobody"); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("an unknown key: %v", err)
	}
}
