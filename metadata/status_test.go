package metadata

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

func row(t *testing.T, ws *Workspace, role string) RoleStatus {
	t.Helper()
	st, err := ws.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.Roles {
		if r.Role == role {
			return r
		}
	}
	t.Fatalf("no row for %s", role)
	return RoleStatus{}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 4)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	st, err := ws.Status()
	w.must(err)
	var got []string
	for _, r := range st.Roles {
		got = append(got, fmt.Sprintf("%s %d v%d v%d %d/%d online:%t due:%t", r.Role, r.Bins, r.BaseVersion, r.StagedVersion, r.Signed, r.Need, r.Online, r.Due))
	}
	want := []string{
		"root 0 v1 v0 2/1 online:false due:false",
		"targets 0 v1 v2 0/1 online:false due:false",
		"images 0 v1 v0 1/1 online:false due:false",
		"bins 4 v1 v2 0/1 online:true due:false",
		"snapshot 0 v1 v0 1/1 online:true due:false",
		"timestamp 0 v1 v0 1/1 online:true due:false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(st.Added) != 2 || len(st.Removed) != 0 || st.Published.Digest != w.head().Digest || st.Published.Tag != "tuf" {
		t.Errorf("%+v", st)
	}
	keys := row(t, ws, "targets").Keys
	if len(keys) != 1 || keys[0].Name != "rel" || keys[0].URI != "env:rel" || keys[0].Signed || keys[0].Type != "ed25519" {
		t.Errorf("%+v", keys)
	}
	w.sign(ws, "targets")
	if r := row(t, ws, "targets"); r.Signed != 1 || !r.Keys[0].Signed {
		t.Errorf("%+v", r)
	}
	w.now = w.now.Add(2 * day)
	if r := row(t, ws, "timestamp"); !r.Due {
		t.Errorf("%+v", r)
	}
}

func TestStatusOfARootRotation(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "root-c")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-c"}, RemoveKeys: []string{"root-a"}}))
	_, err := ws.Sign(t.Context(), []string{"root"}, []string{"root-c"})
	w.must(err)
	if r := row(t, ws, "root"); r.Signed != 1 || r.Need != 1 || r.OldSigned != 0 || r.OldNeed != 1 || len(r.Keys) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.UpdateConfig(func(c *Config) error {
		delete(c.Keys, "rel")
		return c.SetPeriods("targets", 90*day, 30*day)
	}))
	w.must(ws.UpdateConfig(func(c *Config) error { return c.SetPeriods("nobody", 90*day, 30*day) }))
	st, err := ws.Status()
	w.must(err)
	text := strings.Join(st.Drift, "\n")
	for _, part := range []string{`role "nobody", which does not exist`, "targets v1 lives for 180d, tufoci.yaml says 90d", "targets may be signed by key"} {
		if !strings.Contains(text, part) {
			t.Errorf("drift %q does not say %q", text, part)
		}
	}
	if len(st.Drift) != 3 {
		t.Errorf("drift %q", text)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	_, err := ws.AddTarget("old", []byte("old"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.publish(ws)
	w.addKey(ws, "shop")
	w.must(ws.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"shop"}}))
	w.must(ws.AddBins(BinsOptions{Bins: 4, Keys: []string{"shop"}, BinKeys: []string{"online"}}))
	_, err = ws.RemoveTarget("", "old")
	w.must(err)
	_, err = ws.AddTarget("new", []byte("new"), TargetOptions{})
	w.must(err)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Threshold: 2, NoSpareKey: true}))
	diffs, err := ws.Diff()
	w.must(err)
	var got []string
	for _, d := range diffs {
		got = append(got, fmt.Sprintf("%s v%d v%d", d.Role, d.BaseVersion, d.StagedVersion))
		for _, c := range d.Changes {
			if c.Kind == "key" {
				continue
			}
			got = append(got, fmt.Sprintf("  %s %s: %q -> %q", c.Kind, c.Subject, c.Old, c.New))
		}
	}
	want := []string{
		"root v1 v2",
		`  threshold root: "1" -> "2"`,
		"targets v2 v3",
		`  threshold images: "" -> "1"`,
		`  threshold shop: "" -> "1"`,
		`  delegation images: "" -> "` + strings.Join(imagePatterns(), " ") + ` (terminating)"`,
		`  delegation shop: "" -> "images/shop/*"`,
		`  order targets: "" -> "shop images"`,
		`  target new: "" -> "sha256:` + checksum([]byte("new")) + ` 3"`,
		`  target old: "sha256:` + checksum([]byte("old")) + ` 3" -> ""`,
		"shop v0 v1",
		`  period shop: "" -> "180d"`,
		`  renewWithin shop: "" -> "45d"`,
		`  expires shop: "" -> "2027-05-22T11:00:00Z"`,
		"images v0 v1",
		`  threshold bins: "" -> "1"`,
		`  bins images: "" -> "4 b-"`,
		`  period images: "" -> "180d"`,
		`  renewWithin images: "" -> "45d"`,
		`  expires images: "" -> "2027-05-22T11:00:00Z"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, c := range diffs[1].Changes {
		if c.Kind == "key" && (c.Subject != "shop" && c.Subject != "images" || !strings.HasPrefix(c.New, "shop ")) {
			t.Errorf("%+v", c)
		}
	}
	_, err = ws.Diff("timestamp")
	wantErr(t, err, ErrInvalid, "nothing is staged")
}

func TestReset(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 4)
	_, err := ws.AddTarget("kept", []byte("kept"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.publish(ws)
	stageAll := func() {
		t.Helper()
		_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
		w.must(err)
		_, err = ws.AddTarget("kept", []byte("changed"), TargetOptions{})
		w.must(err)
		_, err = ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
		w.must(err)
		w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 100 * day}))
	}
	stageAll()
	wantErr(t, ws.Reset("a", "none"), ErrNoTarget, `"none"`)
	w.must(ws.Reset("a"))
	st, err := ws.Status()
	w.must(err)
	if len(st.Added) != 2 || ws.staged["targets"] == nil {
		t.Errorf("%+v", st.Added)
	}
	w.must(ws.Reset("kept"))
	if ws.staged["targets"] != nil {
		t.Error("targets is as it was published")
	}
	w.must(ws.Reset("bins", "root"))
	if len(ws.staged) > 0 {
		t.Errorf("staged %v", ws.staged)
	}
	stageAll()
	w.must(ws.ResetAll())
	if len(ws.staged) > 0 {
		t.Errorf("staged %v", ws.staged)
	}
	w.must(ws.Close())
	ws = w.open()
	if len(ws.staged) > 0 {
		t.Errorf("staged %v after opening again", ws.staged)
	}
	// The base is given up: nobody asks whether the head was built on it, and it comes back with the next head.
	if head, err := ws.Base(); head != nil || err != nil {
		t.Errorf("%v, %v", head, err)
	}
	if r := w.publish(ws); !r.Unchanged {
		t.Errorf("changed %v", r.Changed)
	}
	head, err := ws.Base()
	w.must(err)
	if head == nil || head.Digest != w.head().Digest {
		t.Errorf("%+v", head)
	}
}

func TestResetBeforeTheFirstPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	wantErr(t, ws.Reset("root"), ErrInvalid, "never published")
	wantErr(t, ws.Reset("targets"), ErrInvalid)
	wantErr(t, ws.ResetAll(), ErrInvalid)
	w.must(ws.Reset("a"))
	if list, err := ws.Targets(TargetFilter{}); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	w.publish(ws)
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	ctx := t.Context()
	_, err := ws.Sign(ctx, nil, nil)
	wantErr(t, err, ErrInvalid, "nothing is staged")
	_, err = ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	before := ws.staged["targets"].sum
	for name, c := range map[string]struct {
		roles, keys []string
		want        error
	}{
		"not staged":   {[]string{"root"}, nil, ErrInvalid},
		"snapshot":     {[]string{"snapshot"}, nil, ErrInvalid},
		"unknown role": {[]string{"none"}, nil, ErrInvalid},
		"unknown key":  {nil, []string{"none"}, ErrKeyMissing},
		"wrong key":    {nil, []string{"rel", "online"}, ErrKeyMissing},
		"no such file": {nil, []string{"file:none.pem"}, ErrKeyMissing},
		"other scheme": {nil, []string{"foo:x"}, ErrInvalid},
		"no opener":    {nil, []string{"foo://x"}, ErrKeyMissing},
	} {
		if _, err := ws.Sign(ctx, c.roles, c.keys); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantErr(t, err, c.want)
		}
	}
	if ws.staged["targets"].sum != before {
		t.Error("a failed signing left a signature")
	}
	sigs, err := ws.Sign(ctx, nil, []string{"env:rel"})
	if w.must(err); len(sigs) != 1 || !sigs[0].Complete() {
		t.Errorf("%v", sigs)
	}
	// A key that is held elsewhere.
	w.must(ws.UpdateConfig(func(c *Config) error {
		k := c.Keys["rel"]
		k.URI = ""
		c.Keys["rel"] = k
		return nil
	}))
	_, err = ws.Sign(ctx, nil, []string{"rel"})
	wantErr(t, err, ErrKeyMissing, "held elsewhere")
	// Another key than tufoci.yaml says.
	w.must(ws.UpdateConfig(func(c *Config) error {
		k := c.Keys["rel"]
		k.URI = "env:online"
		c.Keys["rel"] = k
		return nil
	}))
	_, err = ws.Sign(ctx, nil, []string{"rel"})
	wantErr(t, err, ErrKey, "another key")
}

// Two ids of one key are one signature.
func TestOneKeyCountsOnce(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	key, id, err := ws.publicKey("rel")
	w.must(err)
	r := newRule("test", map[string]*tuf.Key{id: key, "other": key}, []string{id, "other", id, "gone"}, 2)
	if len(r.ids) != 2 {
		t.Fatalf("ids %v", r.ids)
	}
	f, _, err := ws.newSigners().sign(t.Context(), ws.staged["targets"], []rule{r}, []string{"rel"}, false)
	w.must(err)
	signed, err := f.signed(r)
	w.must(err)
	if met, err := f.meets([]rule{r}); len(signed) != 2 || r.count(signed) != 1 || met || err != nil {
		t.Errorf("%v count as %d, met %t, %v", signed, r.count(signed), met, err)
	}
	if met, _ := f.meets(nil); met {
		t.Error("no rule is no permission")
	}
}
