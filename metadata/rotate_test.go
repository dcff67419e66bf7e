package metadata

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// keysOf are the names of a role's keys, in order.
func keysOf(t *testing.T, ws *Workspace, role string) string {
	t.Helper()
	info, err := ws.Role(role)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range info.Keys {
		if !slices.Contains(names, k.Name) {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, " ")
}

// One key of every kind of role is replaced: root's second of three, those of targets, a delegation and hash bins.
func TestRotateKeyInEveryRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.initOptions()
	o.Keys["root"] = []string{w.uri("root-a"), w.uri("all"), w.uri("root-c")}
	o.Keys["targets"] = []string{w.uri("all")}
	o.Thresholds["root"] = 2
	ws := w.init(o)
	w.addKey(ws, "team")
	w.must(ws.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"all", "team"}}))
	w.must(ws.AddBins(BinsOptions{Bins: 2, Keys: []string{"all"}, BinKeys: []string{"all"}}))
	w.sign(ws)
	w.publish(ws)
	first := w.find(ws)

	got, err := ws.RotateKey("all", w.uri("fresh"))
	w.must(err)
	if roles := strings.Join(got.Roles, " "); roles != "root targets shop images bins" || got.New != "fresh" ||
		!slices.Equal(got.Old, []string{"all"}) || !slices.Equal(got.Unused, []string{"all"}) {
		t.Fatalf("%+v", got)
	}
	for role, want := range map[string]string{
		"root": "root-a fresh root-c", "targets": "fresh", "shop": "fresh team", "images": "fresh", "bins": "fresh", "snapshot": "online",
	} {
		if got := keysOf(t, ws, role); got != want {
			t.Errorf("%s has the keys %s, want %s", role, got, want)
		}
	}
	if root, err := ws.Role("root"); err != nil || root.Threshold != 2 {
		t.Errorf("root %+v, %v", root, err)
	}
	// The old key can no longer carry targets and images; shop is carried by team, which signed it too.
	staged, err := ws.Signatures()
	w.must(err)
	var need []string
	for _, s := range staged {
		need = append(need, s.Role)
	}
	if strings.Join(need, " ") != "root targets images" {
		t.Errorf("to be signed: %v", need)
	}
	_, err = ws.RemoveKey("all")
	w.must(err)
	w.sign(ws)
	w.publish(ws) // clients from root v1 and from v2 take it
	w.must(first.refresh(w.channel, w.now))
}

// What a key has signed is signed anew by its successor, also where the role of the key is offline, and with it the role
// that it delegates to.
func TestRotateKeyOfDelegatorAndDelegate(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"rel"}}))
	w.addImages(ws, "shop", image("shop/api", "1", "a"))
	w.sign(ws)
	w.publish(ws)
	w.addKey(ws, "rel2")
	got, err := ws.RotateKey("rel", "rel2")
	w.must(err)
	if !slices.Equal(got.Roles, []string{"root", "targets", "shop"}[1:]) || ws.staged["shop"] == nil {
		t.Fatalf("%+v, staged %v", got, ws.staged)
	}
	delete(w.keys, "rel")
	w.sign(ws)
	wantRoles(t, w.publish(ws), "root", "targets", "shop", "snapshot", "timestamp")
	_, _, err = w.find(ws).get("images/shop/api:1")
	w.must(err)
}

// With roles named, the key stays in the others.
func TestRotateKeyInSomeRoles(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "online2")
	got, err := ws.RotateKey("online", "online2", "timestamp")
	w.must(err)
	if len(got.Unused) > 0 || keysOf(t, ws, "timestamp") != "online2" || keysOf(t, ws, "snapshot") != "online" {
		t.Errorf("%+v", got)
	}
	w.sign(ws)
	wantRoles(t, w.publish(ws), "root", "timestamp")
}

// A key that only metadata knows is named by its id.
func TestRotateKeyByID(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	info, err := ws.Role("targets")
	w.must(err)
	w.must(ws.UpdateConfig(func(c *Config) error { delete(c.Keys, "rel"); return nil }))
	id := info.Keys[0].ID
	got, err := ws.RotateKey(id, w.uri("rel2"))
	w.must(err)
	if !slices.Equal(got.Old, []string{id}) || len(got.Unused) > 0 || keysOf(t, ws, "targets") != "rel2" {
		t.Errorf("%+v", got)
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "idle")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Threshold: 1}))
	before := w.files()
	for name, c := range map[string]struct {
		old, new string
		roles    []string
		want     error
		says     string
	}{
		"unknown old key":           {"none", "idle", nil, ErrKeyMissing, "none"},
		"unknown new key":           {"rel", "none", nil, ErrKeyMissing, "none"},
		"nothing behind the URI":    {"rel", "env:NONE", nil, ErrKeyMissing, "NONE"},
		"one key":                   {"rel", "rel", nil, ErrInvalid, "are one key"},
		"one key by its URI":        {"rel", "env:rel", nil, ErrInvalid, "are one key"},
		"signs nothing":             {"idle", "rel", nil, ErrInvalid, `key "idle" signs no role`},
		"signs it already":          {"root-a", "root-b", nil, ErrInvalid, "would count once"},
		"unknown role":              {"rel", "idle", []string{"none"}, ErrNoRole, "none"},
		"not a key of the role":     {"rel", "idle", []string{"targets", "snapshot"}, ErrInvalid, `"snapshot"`},
		"name of another key":       {"rel", w.uri("IDLE"), nil, ErrKeyExists, "idle"},
		"bins, of which are none":   {"rel", "idle", []string{"bins"}, ErrNoRole, "bins"},
		"a bin as one of the roles": {"rel", "idle", []string{"bin-0"}, ErrNoRole, "bin-0"},
	} {
		_, err := ws.RotateKey(c.old, c.new, c.roles...)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantErr(t, err, c.want, c.says)
	}
	_, err := ws.RotateOnline("online", false)
	wantErr(t, err, ErrInvalid, "alone already")
	_, err = ws.RotateOnline("idle", true)
	wantErr(t, err, ErrNoRole, "no hash bins")
	if after := w.files(); len(after) != len(before) || len(ws.staged) > 0 {
		t.Error("what was refused left something behind")
	}
}

// A root without a spare key is not to be rotated further into it, unless tufoci.yaml says that it may do without.
func TestRotateRootWithoutSpare(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Threshold: 2, NoSpareKey: true}))
	w.sign(ws)
	w.publish(ws)
	w.must(ws.UpdateConfig(func(c *Config) error { c.NoSpareKey = false; return nil }))
	_, err := ws.RotateKey("root-a", w.uri("root-d"))
	wantErr(t, err, ErrNoSpareKey, `role "root": it needs 2 of its 2 keys`)
	if len(ws.staged) > 0 || ws.cfg.Keys["root-d"].Public != "" {
		t.Error("what was refused left something behind")
	}
	w.must(ws.UpdateConfig(func(c *Config) error { c.NoSpareKey = true; return nil }))
	_, err = ws.RotateKey("root-a", w.uri("root-d"))
	w.must(err)
	w.sign(ws)
	w.publish(ws)
}

// One publish moves root, snapshot, timestamp and the bins that the old key signed; the old key is gone.
func TestRotateOnline(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	seen := w.find(ws)
	got, err := ws.RotateOnline(w.uri("online2"), false)
	w.must(err)
	if strings.Join(got.Roles, " ") != "bins snapshot timestamp" || !slices.Equal(got.Unused, []string{"online"}) {
		t.Fatalf("%+v", got)
	}
	_, err = w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "root v2", "images v2")
	w.sign(ws)
	wantRoles(t, w.publish(ws), "root", "images", "b-0", "b-1", "snapshot", "timestamp")
	w.must(seen.refresh(w.channel, w.now))

	// Another key for the bins stays, unless it is to go too.
	w.addKey(ws, "bins")
	_, err = ws.RotateKey("online2", "bins", "bins")
	w.must(err)
	got, err = ws.RotateOnline(w.uri("online3"), false)
	w.must(err)
	if strings.Join(got.Roles, " ") != "snapshot timestamp" || keysOf(t, ws, "bins") != "bins" {
		t.Errorf("%+v", got)
	}
	got, err = ws.RotateOnline("online3", true)
	w.must(err)
	if strings.Join(got.Roles, " ") != "bins" || keysOf(t, ws, "bins") != "online3" {
		t.Errorf("%+v", got)
	}
	w.sign(ws)
	w.publish(ws)
}

func TestRotateOnlineWithThreshold(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "online2")
	w.must(ws.SetRole([]string{"timestamp"}, RoleEdit{AddKeys: []string{"online2"}, Threshold: 2}))
	_, err := ws.RotateOnline(w.uri("online3"), false)
	wantErr(t, err, ErrInvalid, `role "timestamp"`, "needs 2 signatures")
}

// The role that was staged for its new key has moved meanwhile, by its old key: nobody could sign the one that is live.
func TestRotatedRoleMoved(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	other := w.clone()
	theirs := other.open()
	other.addImages(theirs, "apps-shop", image("shop/api", "2", "b"))
	other.sign(theirs)
	other.publish(theirs)
	w.channel, w.digest = other.channel, other.digest

	_, err := ws.RotateKey("shop", w.uri("shop2"))
	w.must(err)
	w.sign(ws)
	_, err = w.assemble(ws)
	wantErr(t, err, ErrConflict, "apps-shop moved from v1 to v2")

	// Made again on what is live, the new key has that to sign.
	_, err = ws.Rebase(w.head(), RebaseOptions{})
	w.must(err)
	if ws.staged["apps-shop"] == nil {
		t.Fatal("nobody is asked to sign the role anew")
	}
	w.sign(ws)
	w.publish(ws)
	_, _, err = w.find(ws).get("images/shop/api:2")
	w.must(err)
}

// driveUp publishes timestamp and snapshot of a head under any version, as who has the online key and no scruples.
func (w *world) driveUp(version int64) map[string]File {
	w.t.Helper()
	private, err := DecodePrivateKey([]byte(w.keys["online"]), nil)
	w.must(err)
	signer, err := NewSigner(private)
	w.must(err)
	id, err := signer.Key().ID()
	w.must(err)
	out := map[string]File{}
	for name, f := range w.channel {
		if role, _, ok := ParseTitle(name); !ok || role != tuf.SNAPSHOT && role != tuf.TIMESTAMP {
			out[name] = f
		}
	}
	raise := func(role string, old []byte, change func(signed map[string]any)) File {
		var file struct {
			Signed map[string]any `json:"signed"`
		}
		w.must(json.Unmarshal(old, &file))
		file.Signed["version"] = version
		change(file.Signed)
		payload, err := json.Marshal(file.Signed)
		w.must(err)
		e, err := openEnvelope([]byte(`{"signatures":[],"signed":` + string(payload) + `}`))
		w.must(err)
		_, err = e.sign(context.Background(), signer, []rule{newRule("", map[string]*tuf.Key{id: signer.Key()}, []string{id}, 1)})
		w.must(err)
		data, err := json.Marshal(e)
		w.must(err)
		f := File{Name: Title(role, version), Data: data, SHA256: checksum(data), Length: int64(len(data))}
		out[f.Name] = f
		return f
	}
	var snapshot []byte
	for name, f := range w.channel {
		if role, _, ok := ParseTitle(name); ok && role == tuf.SNAPSHOT {
			snapshot = f.Data
		}
	}
	s := raise(tuf.SNAPSHOT, snapshot, func(map[string]any) {})
	raise(tuf.TIMESTAMP, w.channel["metadata/timestamp.json"].Data, func(signed map[string]any) {
		signed["meta"] = map[string]any{"snapshot.json": map[string]any{
			"version": version, "length": s.Length, "hashes": map[string]string{"sha256": s.SHA256},
		}}
	})
	return out
}

// Whoever had the online key drove the versions up. After its rotation clients of go-tuf that saw that recover, and those
// that did not: under the versions after it, where it was published, and under those that the repository had, where it
// was only shown to some.
func TestFastForwardEndsWithTheKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version   int64
		published bool
		want      int64
	}{
		"shown to one client": {1<<53 - 1, false, 2},
		"published":           {1 << 40, true, 1<<40 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ws := standard(t)
			forged := w.driveUp(c.version)
			victim := w.find(ws)
			w.must(victim.refresh(forged, w.now))
			if err := victim.refresh(w.channel, w.now); err == nil && victim.up.GetTrustedMetadataSet().Timestamp.Signed.Version != c.version {
				t.Fatal("the victim went back before the rotation")
			}
			if c.published {
				w.channel = forged
			}
			_, err := ws.RotateOnline(w.uri("online2"), false)
			w.must(err)
			w.sign(ws)
			w.now = w.now.Add(time.Hour)
			r := w.publish(ws)
			if r.TimestampVersion != c.want || r.SnapshotVersion != c.want {
				t.Errorf("timestamp v%d, snapshot v%d, want v%d", r.TimestampVersion, r.SnapshotVersion, c.want)
			}
			w.must(victim.refresh(w.channel, w.now))
			if got := victim.up.GetTrustedMetadataSet().Timestamp.Signed.Version; got != c.want {
				t.Errorf("the victim has v%d", got)
			}
		})
	}
}

// While people sign a root, no rotation changes it, nor tufoci.yaml.
func TestRotateFrozenRole(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 300 * day}))
	w.must(ws.Freeze(Freeze{ID: checksum([]byte("a")), Message: "a"}, "root"))
	sum := ws.staged["root"].sum
	_, err := ws.RotateOnline(w.uri("online2"), false)
	wantErr(t, err, ErrFrozen)
	if ws.staged["root"].sum != sum || ws.cfg.Keys["online2"].Public != "" {
		t.Error("what was refused left something behind")
	}
}
