package metadata

import (
	"errors"
	"slices"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// other is a second publisher who publishes a change from a copy of the workspace.
func (w *world) other(change func(*world, *Workspace)) {
	w.t.Helper()
	other := w.clone()
	ws := other.open()
	change(other, ws)
	if len(ws.staged) > 0 && ws.cfg.Profile != ProfileDev {
		other.sign(ws)
	}
	other.publish(ws)
	w.must(ws.Close())
	w.channel, w.pushed, w.digest = other.channel, other.pushed, other.digest
}

func (w *world) rebase(ws *Workspace, o RebaseOptions) (*Rebased, error) {
	return ws.Rebase(w.head(), o)
}

func add(path, content string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		_, err := ws.AddTarget(path, []byte(content), TargetOptions{})
		w.must(err)
	}
}

// rebasing workspaces start from this: three root keys, two teams, a target.
func teams(t *testing.T) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	ws := w.init(w.initOptions())
	for _, key := range []string{"k1", "k2", "k3", "k4"} {
		w.addKey(ws, key)
	}
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"k1"}}))
	w.must(ws.AddDelegation(DelegationOptions{Name: "a", Paths: []string{"a/*"}, Keys: []string{"k1", "k2"}}))
	w.must(ws.AddDelegation(DelegationOptions{Name: "b", Paths: []string{"b/*"}, Keys: []string{"k1"}}))
	add("shared", "shared")(w, ws)
	w.sign(ws)
	w.publish(ws)
	return w, ws
}

func role(name string, edit RoleEdit) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		w.must(ws.SetRole([]string{name}, edit))
	}
}

func in(role, path, content string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		_, err := ws.AddTarget(path, []byte(content), TargetOptions{Role: role})
		w.must(err)
	}
}

func remove(path string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		_, err := ws.RemoveTarget("", path)
		w.must(err)
	}
}

// delegations edits what targets delegates, as another tool may.
func delegations(edit func(*tuf.Delegations)) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		md, err := parseFile[tuf.TargetsType](ws.current("targets"))
		w.must(err)
		edit(md.Signed.Delegations)
		e, err := ws.newEdit()
		w.must(err)
		w.must(stage(e, "targets", md))
		w.must(e.commit())
	}
}

func newRole(name, key string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		w.must(ws.AddDelegation(DelegationOptions{Name: name, Paths: []string{name + "/*"}, Keys: []string{key}}))
	}
}

func member(name, value string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		md, err := parseFile[tuf.TargetsType](ws.current("targets"))
		w.must(err)
		if md.Signed.UnrecognizedFields == nil {
			md.Signed.UnrecognizedFields = map[string]any{}
		}
		md.Signed.UnrecognizedFields[name] = value
		e, err := ws.newEdit()
		w.must(err)
		w.must(stage(e, "targets", md))
		w.must(e.commit())
	}
}

func reorder(names ...string) func(*world, *Workspace) {
	return delegations(func(d *tuf.Delegations) {
		slices.SortFunc(d.Roles, func(a, b tuf.DelegatedRole) int {
			return slices.Index(names, a.Name) - slices.Index(names, b.Name)
		})
	})
}

func unDelegate(name string) func(*world, *Workspace) {
	return delegations(func(d *tuf.Delegations) {
		d.Roles = slices.DeleteFunc(d.Roles, func(r tuf.DelegatedRole) bool { return r.Name == name })
	})
}

// What both sides did comes together in one role that one side signs, and clients take it.
func TestRebaseMerges(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	origin, first := teams(t)
	origin.must(first.Close())
	for name, test := range map[string]struct {
		ours, theirs func(*world, *Workspace)
		role         string
		want         []string // facts of the role afterwards, each "kind subject value"
		gone         bool     // nothing is left to be staged
	}{
		"targets":             {add("mine", "m"), add("theirs", "t"), "targets", []string{"target mine", "target theirs", "target shared"}, false},
		"removed here":        {remove("shared"), add("theirs", "t"), "targets", []string{"target theirs", "!target shared"}, false},
		"removed there":       {add("mine", "m"), remove("shared"), "targets", []string{"target mine", "!target shared"}, false},
		"the same target":     {add("both", "b"), add("both", "b"), "targets", []string{"target both"}, true},
		"the same removal":    {remove("shared"), remove("shared"), "targets", []string{"!target shared"}, true},
		"of a team":           {in("a", "a/1", "1"), in("a", "a/2", "2"), "a", []string{"target a/1", "target a/2"}, false},
		"two new roles":       {newRole("c", "k3"), newRole("d", "k4"), "targets", []string{"order targets a b d c", "key c k3", "key d k4"}, false},
		"order":               {reorder("b", "a"), newRole("c", "k3"), "targets", []string{"order targets b a c"}, false},
		"order there":         {newRole("c", "k3"), reorder("b", "a"), "targets", []string{"order targets b a c"}, false},
		"removed role":        {unDelegate("b"), add("theirs", "t"), "targets", []string{"order targets a", "target theirs"}, false},
		"removed role there":  {add("mine", "m"), unDelegate("b"), "targets", []string{"order targets a", "target mine"}, false},
		"keys of a role":      {role("a", RoleEdit{AddKeys: []string{"k3"}}), role("a", RoleEdit{RemoveKeys: []string{"k1"}}), "targets", []string{"key a k2", "key a k3", "!key a k1"}, false},
		"a key and a target":  {role("a", RoleEdit{AddKeys: []string{"k3"}}), add("theirs", "t"), "targets", []string{"key a k3", "target theirs"}, false},
		"keys of root":        {role("root", RoleEdit{AddKeys: []string{"k2"}}), role("root", RoleEdit{AddKeys: []string{"k3"}}), "root", []string{"key root k2", "key root k3", "key root k1"}, false},
		"threshold and keys":  {role("root", RoleEdit{Threshold: 2}), role("targets", RoleEdit{AddKeys: []string{"k3"}}), "root", []string{"threshold root 2", "key targets k3"}, false},
		"members":             {member("x-mine", "1"), member("x-theirs", "2"), "targets", []string{"member x-mine", "member x-theirs"}, false},
		"life here":           {role("targets", RoleEdit{Expires: 90 * day}), add("theirs", "t"), "targets", []string{"period targets 90d", "target theirs"}, false},
		"life there":          {add("mine", "m"), role("targets", RoleEdit{Expires: 90 * day}), "targets", []string{"period targets 90d", "target mine"}, false},
		"no more than a life": {role("targets", RoleEdit{Expires: 90 * day}), role("targets", RoleEdit{Expires: 90 * day}), "targets", []string{"period targets 90d"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := origin.clone()
			w.t = t
			ws := w.open()
			w.other(test.theirs)
			test.ours(w, ws)
			w.sign(ws)
			_, err := w.assemble(ws)
			if !test.gone {
				wantErr(t, err, ErrConflict)
			}
			r, err := w.rebase(ws, RebaseOptions{})
			w.must(err)
			if r.Head != w.head().Digest || len(r.Roles) == 0 {
				t.Errorf("%+v", r)
			}
			staged := ws.staged[test.role]
			if (staged == nil) != test.gone {
				t.Fatalf("staged: %v", ws.staged)
			}
			if staged != nil {
				e, err := staged.envelope()
				w.must(err)
				if len(e.Signatures) > 0 {
					t.Error("a role that changed kept its signatures")
				}
			}
			checkFacts(t, ws, ws.current(test.role), test.want)

			if len(test.want) < 3 {
				return // what clients say of the others is enough
			}
			w.must(ws.Close())
			ws = w.open()
			w.sign(ws)
			w.publish(ws)
			checkFacts(t, ws, ws.current(test.role), test.want)
		})
	}
}

func checkFacts(t *testing.T, ws *Workspace, f *roleFile, want []string) {
	t.Helper()
	said, err := keyNames(ws.keyName).facts(f)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for key, value := range said {
		kind, _, _ := strings.Cut(key[0], " ")
		lines = append(lines, kind+" "+key[1]+" "+value)
	}
	for _, line := range want {
		line, gone := strings.CutPrefix(line, "!")
		has := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, line) })
		if has == gone {
			t.Errorf("%q: %v in\n%s", line, has, strings.Join(lines, "\n"))
		}
	}
}

// What contradicts what others did is listed with both values, and nothing changes.
func TestRebaseConflicts(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	origin, first := teams(t)
	origin.must(first.Close())
	for name, test := range map[string]struct {
		ours, theirs           func(*world, *Workspace)
		role, kind, subject    string
		oursValue, theirsValue string // what they begin with
	}{
		"two contents":             {add("x", "mine"), add("x", "theirs"), "targets", "target", "x", "sha256:" + checksum([]byte("mine")), "sha256:" + checksum([]byte("theirs"))},
		"changed and removed":      {add("shared", "mine"), remove("shared"), "targets", "target", "shared", "sha256:", ""},
		"removed and changed":      {remove("shared"), add("shared", "theirs"), "targets", "target", "shared", "", "sha256:"},
		"key gone, threshold more": {role("a", RoleEdit{Threshold: 2}), role("a", RoleEdit{RemoveKeys: []string{"k1"}}), "targets", "keys", "a", "2 of k1", "1 of k2"},
		"threshold more, key gone": {role("a", RoleEdit{RemoveKeys: []string{"k1"}}), role("a", RoleEdit{Threshold: 2}), "targets", "keys", "a", "1 of k2", "2 of k1"},
		"two thresholds of root":   {role("root", RoleEdit{Threshold: 2}), role("root", RoleEdit{Threshold: 3, AddKeys: []string{"k2"}}), "root", "keys", "root", "2 of", "3 of"},
		"threshold less, key more": {role("root", RoleEdit{Threshold: 2}), role("root", RoleEdit{AddKeys: []string{"k4"}}), "root", "keys", "root", "2 of", "1 of"},
		"no keys left":             {role("a", RoleEdit{RemoveKeys: []string{"k1"}}), role("a", RoleEdit{RemoveKeys: []string{"k2"}}), "targets", "keys", "a", "1 of k2", "1 of k1"},
		"role removed there":       {in("b", "b/1", "1"), unDelegate("b"), "b", "delegation", "b", "v2", ""},
		"role rekeyed, removed":    {role("b", RoleEdit{AddKeys: []string{"k3"}}), unDelegate("b"), "targets", "keys", "b", "1 of k1", ""},
		"role removed, rekeyed":    {unDelegate("b"), role("b", RoleEdit{AddKeys: []string{"k3"}}), "targets", "keys", "b", "", "1 of k1"},
		"one role, two keys":       {newRole("c", "k3"), newRole("c", "k4"), "targets", "keys", "c", "1 of k3", "1 of k4"},
		"two orders":               {reorder("c", "b", "a"), reorder("b", "c", "a"), "targets", "order", "targets", "c b a", "b c a"},
		"two lives":                {role("targets", RoleEdit{Expires: 90 * day}), role("targets", RoleEdit{Expires: 60 * day}), "targets", "period", "targets", "90d", "60d"},
		"two members":              {member("x", "1"), member("x", "2"), "targets", "member", "x", `"1"`, `"2"`},
		"path no longer delegated": {in("a", "a/1", "1"), delegations(func(d *tuf.Delegations) { d.Roles[0].Paths = []string{"z/*"} }), "a", "target", "a/1", "sha256:", ""},
		"bins here, a role there":  {binsBelow("a"), below("a", "c"), "a", "bins", "a", "2 x-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := origin.clone()
			w.t = t
			ws := w.open()
			if strings.Contains(name, "orders") {
				newRole("c", "k3")(w, ws)
				w.sign(ws)
				w.publish(ws)
			}
			w.other(test.theirs)
			test.ours(w, ws)
			before := w.files()
			for _, dry := range []bool{true, false} {
				_, err := w.rebase(ws, RebaseOptions{DryRun: dry})
				wantErr(t, err, ErrConflict)
				e, ok := errors.AsType[*RebaseConflictError](err)
				if !ok || e.Head != w.head().Digest {
					t.Fatalf("%T %v", err, err)
				}
				i := slices.IndexFunc(e.Conflicts, func(c RebaseConflict) bool {
					return c.Role == test.role && c.Kind == test.kind && c.Subject == test.subject &&
						begins(c.Ours, test.oursValue) && begins(c.Theirs, test.theirsValue)
				})
				if i < 0 {
					t.Errorf("%+v", e.Conflicts)
				}
			}
			after := w.files()
			for file, data := range before {
				if after[file] != data {
					t.Errorf("%s changed", file)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d files, before %d", len(after), len(before))
			}
		})
	}
}

// begins reports that a value begins so; "" is nothing.
func begins(value, with string) bool {
	return strings.HasPrefix(value, with) && (with != "" || value == "")
}

// binsBelow lets a role delegate to hash bins, as another tool may.
func binsBelow(role string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		md, err := parseFile[tuf.TargetsType](ws.current(role))
		w.must(err)
		key, id, err := ws.publicKey("k3")
		w.must(err)
		md.Signed.Delegations = &tuf.Delegations{
			Keys:          map[string]*tuf.Key{id: key},
			SuccinctRoles: &tuf.SuccinctRoles{KeyIDs: []string{id}, Threshold: 1, BitLength: 1, NamePrefix: "x"},
		}
		e, err := ws.newEdit()
		w.must(err)
		w.must(stage(e, role, md))
		w.must(e.commit())
	}
}

func below(parent, name string) func(*world, *Workspace) {
	return func(w *world, ws *Workspace) {
		w.t.Helper()
		w.must(ws.AddDelegation(DelegationOptions{Name: name, Parent: parent, Paths: []string{parent + "/*"}, Keys: []string{"k3"}}))
	}
}

// What was lost is found where the head can have come from, whatever its caller was made to believe, and bytes are taken
// for what their hash says.
func TestRebaseDoubtsItsCaller(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	other := w.clone()
	start := *w
	large := strings.Repeat("x", MaxKeptTarget+1)
	for _, path := range []string{"lost1", "lost2", "lost3"} {
		add(path, large+path)(w, ws)
		w.sign(ws)
		w.publish(ws)
	}
	newest := ws.Earlier()[0].Digest // which has lost1 and lost2
	rival := other.open()
	other.channel, other.pushed, other.digest = start.channel, start.pushed, 100
	newRole("team", "rel")(other, rival)
	add("theirs", "theirs")(other, rival)
	other.sign(rival)
	other.publish(rival)
	w.channel, w.pushed, w.digest = other.channel, other.pushed, other.digest

	lie := func(string, int64) ([]byte, error) {
		return []byte(strings.Repeat("y", MaxKeptTarget+1) + "lost1"), nil
	}
	_, err := w.rebase(ws, RebaseOptions{Ancestor: newest, Blob: lie})
	wantErr(t, err, ErrConflict, "target lost1", "bytes")
	_, err = w.rebase(ws, RebaseOptions{Ancestor: "sha256:" + checksum(nil)})
	wantErr(t, err, ErrInvalid, "not known here")
	stranger := newWorld(t)
	foreign := stranger.init(stranger.initOptions())
	stranger.sign(foreign)
	stranger.publish(foreign)
	_, err = ws.Rebase(stranger.head(), RebaseOptions{Ancestor: newest, Blob: lie})
	wantErr(t, err, ErrForeignHead)
	truth := func(sum string, _ int64) ([]byte, error) {
		for _, path := range []string{"lost1", "lost2", "lost3"} {
			if data := []byte(large + path); checksum(data) == sum {
				return data, nil
			}
		}
		return nil, ErrNotAtHand
	}
	_, err = w.rebase(ws, RebaseOptions{Ancestor: newest, Blob: truth})
	w.must(err)
	checkFacts(t, ws, ws.staged["targets"], []string{"target lost1", "target lost2", "target lost3", "target theirs", "delegation team"})
	if v := ws.staged["targets"].version; v != 5 {
		t.Errorf("staged as v%d: versions that were lost are not used again", v)
	}

	// Versions that were lost are left out, also for those who sign it elsewhere.
	c, err := ws.Changeset("targets")
	w.must(err)
	files, err := c.Files()
	w.must(err)
	if _, err := NewChangeset(files); err != nil {
		t.Error(err)
	}
	for _, skipped := range []string{"2", "200", "9007199254740991"} {
		far := files
		far.Next = []RoleData{{"targets", []byte(strings.Replace(string(files.Next[0].Data), `"version":5`, `"version":`+skipped, 1))}}
		_, err := NewChangeset(far)
		wantErr(t, err, ErrInvalid, "does not follow")
	}
}

// A root and a role that the head has left alone keep their signatures; a role whose new key is staged is to be signed
// by that, also where others have changed what it lists.
func TestRebaseKeepsAndResigns(t *testing.T) {
	t.Parallel()
	w, ws := teams(t)
	w.other(in("b", "b/theirs", "theirs"))
	role("root", RoleEdit{AddKeys: []string{"k2"}})(w, ws)
	role("b", RoleEdit{AddKeys: []string{"k3"}, RemoveKeys: []string{"k1"}})(w, ws)
	in("b", "b/mine", "mine")(w, ws)
	w.sign(ws)
	root := ws.staged["root"].sum
	if _, err := w.rebase(ws, RebaseOptions{}); err != nil {
		t.Fatal(err)
	}
	if ws.staged["root"].sum != root {
		t.Error("root lost its signatures")
	}
	checkFacts(t, ws, ws.staged["b"], []string{"target b/mine", "target b/theirs"})
	w.must(ws.Reset("b"))
	w.must(ws.Close())
	ws = w.open()
	_, err := w.assemble(ws)
	wantErr(t, err, ErrNeedSignatures)

	// Nothing of b is changed here but its key.
	w, ws = teams(t)
	w.other(func(w *world, ws *Workspace) {
		in("b", "b/theirs", "theirs")(w, ws)
		add("theirs", "theirs")(w, ws)
	})
	role("b", RoleEdit{AddKeys: []string{"k3"}, RemoveKeys: []string{"k1"}})(w, ws)
	w.sign(ws)
	if _, err := w.rebase(ws, RebaseOptions{}); err != nil {
		t.Fatal(err)
	}
	if ws.staged["b"] == nil {
		t.Fatal("b has to be signed by its new key")
	}
	w.sign(ws)
	w.publish(ws)
	checkFacts(t, ws, ws.base.role("b"), []string{"target b/theirs"})
}
