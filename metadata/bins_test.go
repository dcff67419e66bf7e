package metadata

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// withBins is a standard workspace with hash bins: keys online for the bins, images above them.
func withBins(t *testing.T, n int) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	ws := w.init(w.initOptions())
	w.addKey(ws, "images")
	w.must(ws.AddBins(BinsOptions{Bins: n, Keys: []string{"images"}, BinKeys: []string{"online"}, Prefix: "b-"}))
	w.sign(ws)
	w.publish(ws)
	return w, ws
}

func TestBinsArePublishedByTheOnlineKey(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 4)
	if len(ws.base.roles) != 3+1+4 {
		t.Fatalf("%d roles", len(ws.base.roles))
	}
	// The name decides the bin; nobody has to sign.
	var lines strings.Builder
	for i := range 20 {
		lines.WriteString(entryLine(fmt.Sprintf("shop/api:%d", i), 100+i))
	}
	added, err := ws.AddTargetEntries(strings.NewReader(lines.String()), TargetOptions{})
	w.must(err)
	for _, e := range added {
		if !strings.HasPrefix(e.Role, "b-") {
			t.Errorf("%s is in %s", e.Path, e.Role)
		}
	}
	w.publish(ws)
	c := w.find(ws)
	for i := range 20 {
		info, _, err := c.get(fmt.Sprintf("images/shop/api:%d", i))
		if err != nil || info.Length != int64(100+i) {
			t.Errorf("image %d: %+v, %v", i, info, err)
		}
	}
}

func TestBinsDepth(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	for depth, ok := range map[int]bool{1: true, 2: true, 8: true, 9: false} {
		name := strings.Repeat("a/", depth-1) + "x:1"
		_, err := ws.AddTargetEntries(strings.NewReader(entryLine(name, 1)), TargetOptions{})
		if ok != (err == nil) {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	w.publish(ws)
	if _, _, err := w.find(ws).get("images/a/a/a/a/a/a/a/x:1"); err != nil {
		t.Error(err)
	}
}

// Publishing a change opens the bins that it touches, and no others: their bytes are neither given nor in the workspace.
func TestOnlyDirtyBinsAreOpened(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 16)
	_, err := ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	bin := anyKey(ws.staged)
	w.must(ws.Close())

	for _, f := range ws.base.all() {
		if strings.HasPrefix(f.role, "b-") && f.role != bin {
			w.must(os.WriteFile(filepath.Join(w.dir, stateDir, baseDir, f.file), []byte(strings.Repeat("x", int(f.length))), 0o600))
		}
	}
	ws = w.open()
	head := w.head()
	for i, f := range head.Files {
		if strings.HasPrefix(f.Name, "metadata/1.b-") {
			head.Files[i].Data = nil
		}
	}
	r, err := ws.Assemble(t.Context(), head, AssembleOptions{Now: w.now})
	w.must(err)
	wantRoles(t, r, bin, "snapshot", "timestamp")
	w.push(r)
	w.must(ws.Published(r, "sha256:x", "tuf", w.now))
	if _, err := ws.Status(); err != nil {
		t.Errorf("status opens bins: %v", err)
	}
}

// A role of the head may delegate more bins than can be named one by one.
func TestMoreBinsThanABundleTakes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 9, 32} {
		md := newTargets()
		md.Signed.Delegations = &tuf.Delegations{SuccinctRoles: &tuf.SuccinctRoles{BitLength: n, NamePrefix: "b"}}
		v := &view{targets: func(string) (*tuf.Metadata[tuf.TargetsType], error) { return md, nil }}
		_, err := v.targetRoles()
		wantErr(t, err, ErrInvalid)
	}
}

func TestBinsAreRenewed(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	_, err := ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	touched := anyKey(ws.staged)
	w.now = w.now.Add(15 * day)
	w.publish(ws)
	w.now = w.now.Add(6 * day) // the bin that was not touched is 21 days old, of 30
	r := w.publish(ws)
	if got := roles(r); len(got) != 3 || got[0] == touched || !strings.HasPrefix(got[0], "b-") {
		t.Errorf("renewed %v", got)
	}
	if _, _, err := w.find(ws).get("images/shop/api:1"); err != nil {
		t.Error(err)
	}
}

func TestBinsUnderANewKey(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 4)
	w.addKey(ws, "online2")
	w.must(ws.SetRole([]string{"bins"}, RoleEdit{AddKeys: []string{"online2"}, RemoveKeys: []string{"online"}}))
	w.sign(ws)
	r := w.publish(ws)
	wantRoles(t, r, "images", "b-0", "b-1", "b-2", "b-3", "snapshot", "timestamp")
}

func TestBinsPeriod(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	w.must(ws.SetRole([]string{"bins"}, RoleEdit{Expires: 20 * day, RenewWithin: 5 * day}))
	r := w.publish(ws)
	wantRoles(t, r, "b-0", "b-1", "snapshot", "timestamp")
	if want := seconds(w.now.Add(20 * day)); !r.Expires["b-0"].Equal(want) {
		t.Errorf("expires %s, want %s", r.Expires["b-0"], want)
	}
}

// A team role that is added later stands before images, which matches every image.
func TestTeamRoleStandsBeforeImages(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	w.addKey(ws, "shop")
	w.must(ws.AddDelegation(DelegationOptions{Name: "apps-shop", Images: []string{"shop/*"}, Keys: []string{"shop"}, Terminating: true}))
	info, err := ws.Role("targets")
	if w.must(err); !slices.Equal(info.Delegations, []string{"apps-shop", "images"}) {
		t.Fatalf("order %v", info.Delegations)
	}
	// A bin would never be asked for it.
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	wantErr(t, err, ErrNotDelegated, "visits targets, apps-shop")
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{Role: "apps-shop"})
	w.must(err)
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("other/api:1", 2)), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.publish(ws)
	c := w.find(ws)
	for path, length := range map[string]int64{"images/shop/api:1": 1, "images/other/api:1": 2} {
		if info, _, err := c.get(path); err != nil || info.Length != length {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestBinsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	keys := []string{"dev"}
	w.must(ws.AddDelegation(DelegationOptions{Name: "c-0", Paths: []string{"charts/*"}, Keys: keys}))
	for name, c := range map[string]struct {
		o    BinsOptions
		want error
	}{
		"under targets":    {BinsOptions{Name: "targets", Bins: 4, Keys: keys, BinKeys: keys}, ErrInvalid},
		"odd number":       {BinsOptions{Bins: 3, Keys: keys, BinKeys: keys}, ErrInvalid},
		"one":              {BinsOptions{Bins: 1, Keys: keys, BinKeys: keys}, ErrInvalid},
		"too many":         {BinsOptions{Bins: 512, Keys: keys, BinKeys: keys}, ErrInvalid},
		"negative":         {BinsOptions{Bins: -4, Keys: keys, BinKeys: keys}, ErrInvalid},
		"prefix":           {BinsOptions{Bins: 4, Prefix: "../x", Keys: keys, BinKeys: keys}, ErrInvalid},
		"no key":           {BinsOptions{Bins: 4, BinKeys: keys}, ErrInvalid},
		"no bin key":       {BinsOptions{Bins: 4, Keys: keys}, ErrInvalid},
		"unknown key":      {BinsOptions{Bins: 4, Keys: []string{"x"}, BinKeys: keys}, ErrKeyMissing},
		"name of a role":   {BinsOptions{Bins: 4, Prefix: "c", Keys: keys, BinKeys: keys}, ErrRoleExists},
		"empty with a dot": {BinsOptions{Bins: 4, Prefix: ".", Keys: keys, BinKeys: keys}, ErrInvalid},
	} {
		if err := ws.AddBins(c.o); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantErr(t, err, c.want)
		}
	}
	w.must(ws.AddBins(BinsOptions{Bins: 4, Prefix: "bin", Keys: keys, BinKeys: keys}))
	wantErr(t, ws.AddBins(BinsOptions{Bins: 4, Prefix: "other", Keys: keys, BinKeys: keys}), ErrRoleExists)
	wantErr(t, ws.AddDelegation(DelegationOptions{Name: "bin-3", Paths: []string{"x/*"}, Keys: keys}), ErrRoleExists)
	for _, parent := range []string{"images", "bin-3"} {
		err := ws.AddDelegation(DelegationOptions{Name: "x", Parent: parent, Paths: []string{"x/*"}, Keys: keys})
		wantErr(t, err, ErrInvalid)
	}
}

// Others have renewed a bin that is staged here: the change goes on top, since publish signs it anyway.
func TestStagedBinOnTopOfARenewal(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	other := w.clone()
	other.now = other.now.Add(21 * day)
	theirs := other.open()
	other.publish(theirs)

	_, err := ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	bin := anyKey(ws.staged)
	w.channel, w.pushed, w.now, w.digest = other.channel, other.pushed, other.now, other.digest
	_, err = w.assemble(ws) // and killed
	w.must(err)
	w.must(ws.Close())
	ws = w.open()
	wantRoles(t, w.publish(ws), bin, "snapshot", "timestamp")
	if ws.base.version(bin) != 3 || len(ws.staged) != 0 {
		t.Errorf("%s v%d, staged %v", bin, ws.base.version(bin), ws.staged)
	}
	if _, _, err := w.find(ws).get("images/shop/api:1"); err != nil {
		t.Error(err)
	}

	// A bin with other entries is a conflict.
	w.must(theirs.Close())
	theirs = other.open()
	other.channel, other.digest = w.channel, w.digest
	if r := other.publish(theirs); !r.Unchanged {
		t.Fatal(r.Changed)
	}
	_, err = theirs.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 2)), TargetOptions{})
	w.must(err)
	other.publish(theirs)
	w.channel, w.digest = other.channel, other.digest
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 3)), TargetOptions{})
	w.must(err)
	_, err = w.assemble(ws)
	wantErr(t, err, ErrConflict, bin+" moved from v3 to v4 since you staged 1 change on it")
}

// A renewal of what others moved is not saved: this workspace has no base for it yet.
func TestRenewalOfAMovedRoleIsNotStaged(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 2)
	other := w.clone()
	other.now = other.now.Add(21 * day)
	other.publish(other.open())
	w.channel, w.pushed, w.digest = other.channel, other.pushed, other.digest
	w.now = other.now.Add(21 * day)
	_, err := w.assemble(ws)
	w.must(err)
	w.must(ws.Close())
	ws = w.open()
	wantRoles(t, w.publish(ws), "b-0", "b-1", "snapshot", "timestamp")
	if ws.base.version("b-0") != 3 {
		t.Errorf("b-0 v%d", ws.base.version("b-0"))
	}
}

func TestBinOf(t *testing.T) {
	t.Parallel()
	for bits := 1; bits <= 16; bits++ {
		s := &tuf.SuccinctRoles{BitLength: bits, NamePrefix: "b"}
		for i := range 50 {
			path := fmt.Sprintf("images/shop/api:%d", i)
			if got, want := binOf(s, path), s.GetRolesForTarget(path)[0].Name; got != want {
				t.Fatalf("%d bits, %s: %s, want %s", bits, path, got, want)
			}
		}
	}
}

func TestManyBins(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w, ws := withBins(t, 256)
	_, err := ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	r := w.publish(ws)
	if len(r.Changed) != 3 {
		t.Errorf("changed %v", roles(r))
	}
}

func anyKey[V any](m map[string]V) string {
	for k := range m {
		return k
	}
	return ""
}
