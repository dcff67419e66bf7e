package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

func roles(r *Release) []string {
	var out []string
	for _, c := range r.Changed {
		out = append(out, c.Role)
	}
	return out
}

func wantRoles(t *testing.T, r *Release, want ...string) {
	t.Helper()
	if got := roles(r); !slices.Equal(got, want) {
		t.Fatalf("changed %v, want %v", got, want)
	}
}

func TestDevPublishesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	_, err := ws.AddTarget("notation/x509/ca/acme/ca.pem", []byte("a certificate"), TargetOptions{})
	w.must(err)
	r := w.publish(ws)
	wantRoles(t, r, "root", "targets", "snapshot", "timestamp")
	_, data, err := w.find(ws).get("notation/x509/ca/acme/ca.pem")
	if w.must(err); string(data) != "a certificate" {
		t.Errorf("target %q", data)
	}
	if r.RootVersion != 1 || r.TimestampVersion != 1 || r.SnapshotVersion != 1 || r.TargetsVersion != 1 {
		t.Errorf("versions %d %d %d %d", r.RootVersion, r.TimestampVersion, r.SnapshotVersion, r.TargetsVersion)
	}
	again := w.publish(ws)
	if !again.Unchanged || len(again.Changed) > 0 || len(again.Files) != len(r.Files) {
		t.Errorf("the second publish changes %v", again.Changed)
	}
}

func TestMetadataIsWholeSecondsInUTC(t *testing.T) {
	t.Parallel()
	w, _ := dev(t)
	for name, f := range w.channel {
		var file struct {
			Signed struct {
				Expires string `json:"expires"`
			} `json:"signed"`
		}
		w.must(json.Unmarshal(f.Data, &file))
		if !strings.HasSuffix(file.Signed.Expires, "T11:00:00Z") {
			t.Errorf("%s expires %s", name, file.Signed.Expires)
		}
	}
}

func TestStandardNeedsSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.initOptions())
	before := w.files()
	_, err := w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "root v1: signed by 0 of 1 required under root v1", "targets v1: signed by 0 of 1")
	need := err.(*NeedSignaturesError)
	if k := need.Roles[0].Rules[0].Keys; len(k) != 2 || k[0].Name == "" || k[0].URI == "" || len(k[0].ID) != 64 {
		t.Errorf("keys %+v", k)
	}
	if after := w.files(); len(after) != len(before) {
		t.Error("a publish that failed left something behind")
	}
	w.sign(ws, "root")
	_, err = w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "targets v1")
	if strings.Contains(err.Error(), "root v1:") {
		t.Error("root is signed")
	}
	w.sign(ws, "targets")
	w.publish(ws)
}

func TestOnlineKeyIsMissing(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	online := w.keys["online"]
	delete(w.keys, "online")
	ws.Close()
	ws = w.open()
	_, err = w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "snapshot v2", "timestamp v2")
	w.keys["online"] = online
	w.publish(ws)
}

func TestUneditedRolesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	old := w.channel
	_, err := ws.AddTarget("charts/a", []byte("a"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.now = w.now.Add(time.Hour)
	r := w.publish(ws)
	wantRoles(t, r, "targets", "snapshot", "timestamp")
	if !bytes.Equal(old["metadata/1.root.json"].Data, w.channel["metadata/1.root.json"].Data) {
		t.Error("root changed")
	}
	if _, ok := w.channel["metadata/1.targets.json"]; ok {
		t.Error("the bundle has two versions of targets")
	}
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.now = w.now.Add(23 * time.Hour)
	if r := w.publish(ws); !r.Unchanged {
		t.Fatalf("not due yet: %v", r.Changed)
	}
	w.now = w.now.Add(2 * time.Hour)
	r := w.publish(ws)
	wantRoles(t, r, "snapshot", "timestamp")
	if want := seconds(w.now.Add(7 * day)); !r.Expires["timestamp"].Equal(want) {
		t.Errorf("expires %s, want %s", r.Expires["timestamp"], want)
	}
	// Offline roles are for people to renew.
	w.now = w.now.Add(170 * day)
	wantRoles(t, w.publish(ws), "snapshot", "timestamp")
	// Without the key nothing is due, and nothing is wrong.
	w.now = w.now.Add(day + time.Hour)
	delete(w.keys, "online")
	ws.Close()
	if r := w.publish(w.open()); !r.Unchanged {
		t.Errorf("changed %v without a key", r.Changed)
	}
}

func TestDevRenewsEverything(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.now = w.now.Add(140 * day)
	r := w.publish(ws)
	wantRoles(t, r, "targets", "snapshot", "timestamp")
	w.now = w.now.Add(170 * day)
	r = w.publish(ws)
	wantRoles(t, r, "root", "targets", "snapshot", "timestamp")
	if r.RootVersion != 2 || r.Changed[0].Why != whyRenewed {
		t.Errorf("%+v", r.Changed[0])
	}
	if len(ws.staged) > 0 {
		t.Errorf("staged %v", ws.staged)
	}
}

func TestTimestampVersionCanSkip(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	r, err := ws.Assemble(context.Background(), w.head(), AssembleOptions{Now: w.now, TimestampVersion: 7})
	w.must(err)
	if r.TimestampVersion != 7 || r.SnapshotVersion != 2 {
		t.Errorf("timestamp v%d, snapshot v%d", r.TimestampVersion, r.SnapshotVersion)
	}
	w.push(r)
	w.must(ws.Published(r, w.head().Digest, "tuf", w.now))
	// With nothing to change a least version changes nothing either.
	r, err = ws.Assemble(context.Background(), w.head(), AssembleOptions{Now: w.now, TimestampVersion: 9})
	if w.must(err); !r.Unchanged {
		t.Errorf("changed %v", r.Changed)
	}
}

func TestRootRotation(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "root-c")
	w.addKey(ws, "root-d")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-c", "root-d"}, RemoveKeys: []string{"root-a"}, Threshold: 2}))
	sigs, err := ws.Signatures()
	w.must(err)
	if len(sigs) != 1 || len(sigs[0].Rules) != 2 || sigs[0].Rules[0].Need != 1 || sigs[0].Rules[1].Need != 2 {
		t.Fatalf("rules %+v", sigs)
	}
	_, err = ws.Sign(context.Background(), []string{"root"}, []string{"root-c"})
	w.must(err)
	_, err = w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "root v2: signed by 0 of 1 required under root v1, signed by 1 of 2 required under root v2")
	_, err = ws.Sign(context.Background(), []string{"root"}, []string{"root-b"})
	w.must(err)
	r := w.publish(ws)
	wantRoles(t, r, "root", "timestamp")
	if _, ok := w.channel["metadata/1.root.json"]; !ok || r.RootVersion != 2 {
		t.Error("root v1 must stay")
	}
}

func TestRotatedOnlineKeySignsInTheSamePublish(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "online2")
	w.must(ws.SetRole([]string{"snapshot", "timestamp"}, RoleEdit{AddKeys: []string{"online2"}, RemoveKeys: []string{"online"}}))
	w.sign(ws)
	wantRoles(t, w.publish(ws), "root", "snapshot", "timestamp")
}

func TestRotatedOnlineKeyIsMissing(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "online2")
	w.must(ws.SetRole([]string{"snapshot"}, RoleEdit{AddKeys: []string{"online2"}, RemoveKeys: []string{"online"}}))
	w.sign(ws)
	delete(w.keys, "online2")
	w.must(ws.Close())
	_, err := w.assemble(w.open())
	wantErr(t, err, ErrNeedSignatures, "snapshot v2: signed by 0 of 1 required under root v2")
}

// A head without the bytes of a file that the workspace does not have.
func TestHeadWithoutBytes(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	head := w.head()
	for i := range head.Files {
		head.Files[i].Data = nil
	}
	if r, err := ws.Assemble(context.Background(), head, AssembleOptions{Now: w.now}); err != nil || !r.Unchanged {
		t.Fatalf("%+v, %v", r, err)
	}
	head.Files[len(head.Files)-1].SHA256 = checksum([]byte("other"))
	_, err := ws.Assemble(context.Background(), head, AssembleOptions{Now: w.now})
	wantErr(t, err, errNoBytes, "timestamp")
}

func TestRotatedTargetsKeyStagesTargets(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "rel2")
	// A further key with the old threshold: the published signature still counts.
	w.must(ws.SetRole([]string{"targets"}, RoleEdit{AddKeys: []string{"rel2"}}))
	if ws.staged["targets"] != nil {
		t.Error("targets needs no new signature")
	}
	w.must(ws.SetRole([]string{"targets"}, RoleEdit{RemoveKeys: []string{"rel"}}))
	if ws.staged["targets"] == nil {
		t.Fatal("targets needs a new signature")
	}
	_, err := ws.Sign(context.Background(), []string{"targets"}, []string{"rel"})
	wantErr(t, err, ErrKeyMissing, "targets takes rel2")
	w.sign(ws)
	r := w.publish(ws)
	wantRoles(t, r, "root", "targets", "snapshot", "timestamp")
}

func TestUnsignedRoleUnderNewKeysIsRefused(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "rel2")
	w.must(ws.SetRole([]string{"targets"}, RoleEdit{AddKeys: []string{"rel2"}, RemoveKeys: []string{"rel"}}))
	w.must(ws.unstage("targets"))
	w.sign(ws, "root")
	_, err := w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures, "targets v1: signed by 0 of 1 required under root v2")
}

func TestConflict(t *testing.T) {
	t.Parallel()
	w, mine := standard(t)
	other := w.clone()
	theirs := other.open()
	_, err := theirs.AddTarget("theirs", []byte("theirs"), TargetOptions{})
	w.must(err)
	other.sign(theirs)
	other.publish(theirs)
	w.channel, w.digest = other.channel, other.digest

	_, err = mine.AddTarget("mine", []byte("mine"), TargetOptions{})
	w.must(err)
	w.sign(mine)
	before := w.files()
	_, err = w.assemble(mine)
	wantErr(t, err, ErrConflict, "targets moved from v1 to v2 since you staged 1 change on it (bundle sha256:")
	if c := err.(*ConflictError).Roles; len(c) != 1 || c[0] != (RoleConflict{"targets", 1, 2, 2, 1}) {
		t.Errorf("%+v", c)
	}
	if after := w.files(); len(after) != len(before) {
		t.Error("the workspace changed")
	}
	// The way out: drop what is staged, take over what is published, stage again.
	w.must(mine.Reset("targets"))
	if r := w.publish(mine); !r.Unchanged {
		t.Fatalf("changed %v", r.Changed)
	}
	_, err = mine.AddTarget("mine", []byte("mine"), TargetOptions{})
	w.must(err)
	w.sign(mine)
	w.publish(mine)
	for _, name := range []string{"mine", "theirs"} {
		if _, data, err := w.find(mine).get(name); err != nil || string(data) != name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestSameBytesAreNoConflict(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	r, err := w.assemble(ws)
	w.must(err)
	w.push(r) // and killed before it could be recorded
	ws.Close()
	ws = w.open()
	if r := w.publish(ws); !r.Unchanged || r.TargetsVersion != 2 {
		t.Errorf("changed %v", r.Changed)
	}
	if len(ws.staged) > 0 || ws.base.version("targets") != 2 {
		t.Error("targets v2 is published")
	}
}

func TestFirstPublishKilledBeforeItWasRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	r, err := w.assemble(ws)
	w.must(err)
	w.push(r)
	ws.Close()
	if r := w.publish(w.open()); !r.Unchanged {
		t.Errorf("changed %v", r.Changed)
	}
}

func TestTakesOverWhatOthersPublished(t *testing.T) {
	t.Parallel()
	w, mine := standard(t)
	w.addKey(mine, "shop")
	w.must(mine.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"shop"}}))
	w.sign(mine)
	w.publish(mine)

	other := w.clone()
	theirs := other.open()
	_, err := theirs.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{Role: "shop"})
	w.must(err)
	other.sign(theirs)
	other.publish(theirs)
	w.channel, w.digest = other.channel, other.digest

	_, err = mine.AddTarget("mine", []byte("mine"), TargetOptions{})
	w.must(err)
	w.sign(mine)
	r := w.publish(mine)
	wantRoles(t, r, "targets", "snapshot", "timestamp")
	if _, _, err := w.find(mine).get("images/shop/api:1"); err != nil {
		t.Error(err)
	}
	if mine.base.version("shop") != 2 {
		t.Error("the base did not take shop v2 over")
	}
}

func TestForeignHead(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	stranger, _ := dev(t)
	_, err := ws.Assemble(context.Background(), stranger.head(), AssembleOptions{Now: w.now})
	wantErr(t, err, ErrForeignHead, "root v1 has sha256")
	fresh := newWorld(t)
	_, err = fresh.init(fresh.devOptions()).Assemble(context.Background(), stranger.head(), AssembleOptions{Now: w.now})
	wantErr(t, err, ErrForeignHead)
	// A head that lost a root.
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 300 * day}))
	old := w.head()
	w.publish(ws)
	_, err = ws.Assemble(context.Background(), old, AssembleOptions{Now: w.now})
	wantErr(t, err, ErrForeignHead, "roots up to v1")
}

func TestDamagedHead(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	for _, missing := range []string{"metadata/1.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"} {
		h := w.head()
		h.Files = slices.DeleteFunc(h.Files, func(f File) bool { return f.Name == missing })
		_, err := ws.Assemble(context.Background(), h, AssembleOptions{Now: w.now})
		wantErr(t, err, ErrHead)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	before := w.files()
	_, err := ws.Assemble(context.Background(), nil, AssembleOptions{Now: w.now, DryRun: true})
	w.must(err)
	after := w.files()
	for name, data := range after {
		if before[name] != data {
			t.Errorf("%s changed", name)
		}
	}
	_, err = ws.Assemble(context.Background(), nil, AssembleOptions{Now: w.now})
	w.must(err)
	if w.files()["staged/1.root.json"] == before["staged/1.root.json"] {
		t.Error("the signatures of root were not saved")
	}
}

func TestRepeatedPublishHasTheSameBytes(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddBins(BinsOptions{Bins: 2, Keys: []string{"dev"}, BinKeys: []string{"dev"}}))
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	first, err := w.assemble(ws)
	w.must(err)
	ws.Close()
	w.now = w.now.Add(time.Minute)
	second, err := w.assemble(w.open())
	w.must(err)
	for i, f := range first.Files {
		online := strings.Contains(f.Name, "timestamp") || strings.Contains(f.Name, "snapshot")
		if second.Files[i].Name != f.Name || !online && second.Files[i].SHA256 != f.SHA256 {
			t.Errorf("%s differs", f.Name)
		}
	}
}

func TestSnapshotListsLengthAndHash(t *testing.T) {
	t.Parallel()
	w, _ := dev(t)
	snapshot, err := parse[tuf.SnapshotType](w.channel["metadata/1.snapshot.json"].Data)
	w.must(err)
	timestamp, err := parse[tuf.TimestampType](w.channel["metadata/timestamp.json"].Data)
	w.must(err)
	for name, m := range map[string]*tuf.MetaFiles{
		"metadata/1.targets.json":  snapshot.Signed.Meta["targets.json"],
		"metadata/1.snapshot.json": timestamp.Signed.Meta["snapshot.json"],
	} {
		if f := w.channel[name]; m == nil || m.Length != f.Length || m.Hashes["sha256"].String() != f.SHA256 || m.Version != 1 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestSnapshotKeepsRemovedRoles(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"dev"}}))
	w.publish(ws)
	e, err := ws.newEdit()
	w.must(err)
	md, err := parseFile[tuf.TargetsType](ws.current("targets"))
	w.must(err)
	md.Signed.Delegations = nil
	w.must(stage(e, "targets", md))
	w.must(e.commit())
	r := w.publish(ws) // a client that saw the head refuses a snapshot that forgets a role
	snapshot, err := parse[tuf.SnapshotType](w.channel[Title("snapshot", r.SnapshotVersion)].Data)
	w.must(err)
	if snapshot.Signed.Meta["team.json"] == nil {
		t.Error("team.json is gone")
	}
	// Also when the head comes without the file, to which nothing delegates.
	delete(w.channel, "metadata/1.team.json")
	_, err = ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	r = w.publish(ws)
	snapshot, err = parse[tuf.SnapshotType](w.channel[Title("snapshot", r.SnapshotVersion)].Data)
	w.must(err)
	if snapshot.Signed.Meta["team.json"] == nil || ws.base.roles["team"] != nil {
		t.Error("team.json is gone")
	}
}

func TestStagedRoleThatIsDelegatedNoMore(t *testing.T) {
	t.Parallel()
	w, mine := standard(t)
	w.addKey(mine, "shop")
	w.must(mine.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"shop"}}))
	w.sign(mine)
	w.publish(mine)

	other := w.clone()
	theirs := other.open()
	e, err := theirs.newEdit()
	w.must(err)
	md, err := parseFile[tuf.TargetsType](theirs.current("targets"))
	w.must(err)
	md.Signed.Delegations = nil
	w.must(stage(e, "targets", md))
	w.must(e.commit())
	other.sign(theirs)
	other.publish(theirs)

	_, err = mine.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{Role: "shop"})
	w.must(err)
	w.sign(mine)
	_, err = mine.Assemble(context.Background(), other.head(), AssembleOptions{Now: w.now})
	wantErr(t, err, ErrConflict, "shop")
}

func TestLintStopsARelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.initOptions()
	o.Thresholds["root"] = 2
	ws := w.init(o)
	w.sign(ws)
	_, err := w.assemble(ws)
	wantErr(t, err, ErrLint, "spare")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{NoSpareKey: true}))
	w.publish(ws)
}

// An empty channel and a base: the tag was deleted, and what was published is published again.
func TestPublishesTheBaseAgain(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	w.channel = nil
	r, err := w.assemble(ws)
	w.must(err)
	if !r.Unchanged {
		t.Fatalf("changed %v", r.Changed)
	}
	w.push(r)
}
