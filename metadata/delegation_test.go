package metadata

import (
	"slices"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

func TestImagePatterns(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"shop/api":     "images/shop/api:* images/shop/api@*",
		"api":          "images/api:* images/api@*",
		"shop/*":       "images/shop/*",
		"*":            "images/*",
		"a/b/c/d/e/f":  "images/a/b/c/d/e/f:* images/a/b/c/d/e/f@*",
		"a-b/c_d/e.f":  "images/a-b/c_d/e.f:* images/a-b/c_d/e.f@*",
		"api*":         "",
		"shop/api*":    "",
		"shop/*/api":   "",
		"shop/**":      "",
		"shop":         "images/shop:* images/shop@*",
		"":             "",
		"/":            "",
		"/*":           "",
		"Shop/api":     "",
		"shop/api:1":   "",
		"shop/api@x":   "",
		"reg.io:5/a":   "",
		"shop//api":    "",
		"../notation":  "",
		"shop/[a-z]pi": "",
		"shop/ap?":     "",
	} {
		got, err := imagePathPatterns(image)
		if strings.Join(got, " ") != want || (err == nil) != (want != "") {
			t.Errorf("%q: %v, %v, want %s", image, got, err, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, pattern string
		want          error
	}{
		{"team", "charts/*", nil},
		{"team", "charts/*.tgz", nil},
		{"team", "charts/v?/*", nil},
		{"team", "charts/x", nil},
		{"team", "notations/*", nil},
		{"team", "a/notation/*", nil},
		// What can match a reserved name, component by component.
		{"team", "*", ErrReserved},
		{"team", "*/*", ErrReserved},
		{"team", "*/*/*", ErrReserved},
		{"team", "notation/*", ErrReserved},
		{"team", "notation/trustpolicy.json", ErrReserved},
		{"team", "notation/x509/ca/*/*", ErrReserved},
		{"team", "not*/x", ErrReserved},
		{"team", "n?tation/x", ErrReserved},
		{"team", "tufoci/*", ErrReserved},
		{"team", "tuf*/x/y", ErrReserved},
		{"team", "revocations.json", ErrReserved},
		{"team", "*.json", ErrReserved},
		{"team", "revocations.*", ErrReserved},
		{"team", "revocations/*", ErrReserved},
		{"team", "revocation?/a", ErrReserved},
		{"revocations", "revocations/*", nil},
		{"revocations", "revocations/x", ErrReserved},
		{"revocations", "charts/*", ErrReserved},
		// Images are delegated by image.
		{"team", "images/*", ErrReserved},
		{"team", "images/shop/api:*", ErrReserved},
		{"team", "im*/x", ErrReserved},
		// What clients match differently.
		{"team", "charts/**", ErrInvalid},
		{"team", "charts/[a-c]", ErrInvalid},
		{"team", "charts/{a,b}", ErrInvalid},
		{"team", "!charts/*", ErrInvalid},
		{"team", "charts/+(a|b)", ErrInvalid},
		{"team", "#charts/*", ErrInvalid},
		{"team", `charts/\*`, ErrInvalid},
		{"team", "", ErrInvalid},
		{"team", "/charts/*", ErrInvalid},
		{"team", "charts/../*", ErrInvalid},
		{"team", "charts//*", ErrInvalid},
		{"team", "charts/\x00", ErrInvalid},
	} {
		err := checkPattern(c.role, c.pattern)
		if c.want == nil && err != nil {
			t.Errorf("%s %q: %v", c.role, c.pattern, err)
		}
		if c.want != nil && err == nil {
			t.Errorf("%s %q: no error", c.role, c.pattern)
		} else if c.want != nil {
			wantErr(t, err, c.want)
		}
	}
}

func TestRoleNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"team": true, "a": true, "apps-shop.v2_x": true, strings.Repeat("a", 100): true, "revocations": true,
		"": false, "Team": false, "-a": false, ".a": false, "a/b": false, "a b": false, strings.Repeat("a", 101): false, "é": false,
		"root": false, "targets": false, "snapshot": false, "timestamp": false, "a.json": false, "images": false, "bins": false, "../a": false,
	} {
		if err := checkRoleName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAddDelegation(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.addKey(ws, "shop")
	w.must(ws.AddDelegation(DelegationOptions{
		Name: "apps-shop", Images: []string{"shop/*", "api"}, Paths: []string{"charts/*"},
		Keys: []string{"shop", "dev"}, Threshold: 2, Terminating: true, Expires: 90 * day,
	}))
	w.must(ws.AddDelegation(DelegationOptions{Name: "sub", Parent: "apps-shop", Paths: []string{"charts/x"}, Keys: []string{"shop"}}))
	info, err := ws.Role("apps-shop")
	w.must(err)
	if info.Parent != "targets" || info.Threshold != 2 || len(info.Keys) != 2 || !info.Terminating || info.Period != 90*day ||
		!slices.Equal(info.Paths, []string{"charts/*", "images/shop/*", "images/api:*", "images/api@*"}) ||
		!slices.Equal(info.Delegations, []string{"sub"}) || !info.Staged || info.Version != 1 {
		t.Errorf("%+v", info)
	}
	w.publish(ws)
	_, err = ws.AddTargetEntries(strings.NewReader(entryLine("api:1", 5)), TargetOptions{Role: "apps-shop"})
	w.must(err)
	_, err = ws.AddTarget("charts/x", []byte("x"), TargetOptions{Role: "sub"})
	w.must(err)
	w.publish(ws)
	c := w.find(ws)
	for _, path := range []string{"images/api:1", "charts/x"} {
		if _, _, err := c.get(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	all, err := ws.Roles()
	w.must(err)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"root", "targets", "apps-shop", "sub", "snapshot", "timestamp"}) {
		t.Errorf("roles %v", names)
	}
}

func TestAddDelegationRefuses(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	keys, paths := []string{"dev"}, []string{"charts/*"}
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: paths, Keys: keys}))
	before := w.files()
	for name, c := range map[string]struct {
		o    DelegationOptions
		want error
	}{
		"exists":         {DelegationOptions{Name: "team", Paths: paths, Keys: keys}, ErrRoleExists},
		"name":           {DelegationOptions{Name: "root", Paths: paths, Keys: keys}, ErrInvalid},
		"no parent":      {DelegationOptions{Name: "x", Parent: "none", Paths: paths, Keys: keys}, ErrNoRole},
		"parent":         {DelegationOptions{Name: "x", Parent: "snapshot", Paths: paths, Keys: keys}, ErrNoRole},
		"no paths":       {DelegationOptions{Name: "x", Keys: keys}, ErrInvalid},
		"reserved":       {DelegationOptions{Name: "x", Paths: []string{"charts/*", "*/*"}, Keys: keys}, ErrReserved},
		"image prefix":   {DelegationOptions{Name: "x", Images: []string{"api*"}, Keys: keys}, ErrInvalid},
		"too deep":       {DelegationOptions{Name: "x", Images: []string{"a/b/c/d/e/f/g/h/i"}, Keys: keys}, ErrInvalid},
		"no keys":        {DelegationOptions{Name: "x", Paths: paths}, ErrInvalid},
		"unknown key":    {DelegationOptions{Name: "x", Paths: paths, Keys: []string{"none"}}, ErrKeyMissing},
		"threshold":      {DelegationOptions{Name: "x", Paths: paths, Keys: keys, Threshold: 2}, ErrInvalid},
		"same key twice": {DelegationOptions{Name: "x", Paths: paths, Keys: []string{"dev", "dev"}, Threshold: 2}, ErrInvalid},
		"negative":       {DelegationOptions{Name: "x", Paths: paths, Keys: keys, Threshold: -1}, ErrInvalid},
		"period":         {DelegationOptions{Name: "x", Paths: paths, Keys: keys, Expires: day, RenewWithin: 2 * day}, ErrInvalid},
		"revocations":    {DelegationOptions{Name: "revocations", Parent: "team", Keys: keys}, ErrReserved},
		"revoke images":  {DelegationOptions{Name: "revocations", Images: []string{"*"}, Keys: keys}, ErrReserved},
	} {
		err := ws.AddDelegation(c.o)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantErr(t, err, c.want)
	}
	after := w.files()
	if len(after) != len(before) {
		t.Error("what was refused left something behind")
	}
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s changed", name)
		}
	}
	w.must(ws.AddDelegation(DelegationOptions{Name: "revocations", Keys: keys}))
	if info, err := ws.Role("revocations"); err != nil || !slices.Equal(info.Paths, []string{"revocations/*"}) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestSetRoleRefuses(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	before := w.files()
	for name, c := range map[string]struct {
		roles []string
		edit  RoleEdit
		want  error
	}{
		"no role":         {nil, RoleEdit{Threshold: 1}, ErrInvalid},
		"unknown role":    {[]string{"targets", "none"}, RoleEdit{Threshold: 1}, ErrNoRole},
		"no bins":         {[]string{"bins"}, RoleEdit{Threshold: 1}, ErrNoRole},
		"unknown key":     {[]string{"targets"}, RoleEdit{AddKeys: []string{"none"}}, ErrKeyMissing},
		"not its key":     {[]string{"targets"}, RoleEdit{RemoveKeys: []string{"online"}}, ErrInvalid},
		"last key":        {[]string{"targets"}, RoleEdit{RemoveKeys: []string{"rel"}}, ErrInvalid},
		"threshold":       {[]string{"root"}, RoleEdit{Threshold: 3}, ErrInvalid},
		"negative":        {[]string{"root"}, RoleEdit{Threshold: -1}, ErrInvalid},
		"negative period": {[]string{"root"}, RoleEdit{Expires: -day}, ErrInvalid},
		"window":          {[]string{"root"}, RoleEdit{Expires: day, RenewWithin: 2 * day}, ErrInvalid},
		"half of them":    {[]string{"snapshot", "targets"}, RoleEdit{RemoveKeys: []string{"online"}}, ErrInvalid},
	} {
		err := ws.SetRole(c.roles, c.edit)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantErr(t, err, c.want)
	}
	if after := w.files(); len(after) != len(before) {
		t.Error("what was refused left something behind")
	}
}

func TestSetRoleKeepsSignaturesWhenNothingChanges(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-a"}, Threshold: 1}))
	if len(ws.staged) > 0 {
		t.Errorf("staged %v", ws.staged)
	}
	w.must(ws.SetRole([]string{"targets"}, RoleEdit{Expires: 90 * day}))
	if f := ws.staged["targets"]; f == nil || f.period != 90*day {
		t.Fatalf("targets %+v", f)
	}
	w.sign(ws)
	w.addKey(ws, "root-c")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-c"}}))
	sigs, err := ws.Signatures()
	w.must(err)
	for _, s := range sigs {
		if complete := s.Role == "targets"; s.Complete() != complete {
			t.Errorf("%s", s)
		}
	}
}

func TestSetRoleOfADelegatedRole(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.addKey(ws, "shop")
	w.addKey(ws, "shop2")
	w.must(ws.AddDelegation(DelegationOptions{Name: "shop", Images: []string{"shop/*"}, Keys: []string{"shop"}}))
	w.publish(ws)
	id := ""
	info, err := ws.Role("shop")
	w.must(err)
	id = info.Keys[0].ID
	w.must(ws.SetRole([]string{"shop"}, RoleEdit{AddKeys: []string{"shop2"}, RemoveKeys: []string{id}}))
	r := w.publish(ws)
	wantRoles(t, r, "targets", "shop", "snapshot", "timestamp")
	md, err := parse[tuf.TargetsType](w.channel[Title("targets", r.TargetsVersion)].Data)
	w.must(err)
	if md.Signed.Delegations.Keys[id] != nil {
		t.Error("the key that nobody uses any more stays")
	}
}

// An order of roles and patterns in which go-tuf's own walk and ours must agree.
func TestVisits(t *testing.T) {
	t.Parallel()
	files := map[string]*roleFile{}
	add := func(name string, roles ...tuf.DelegatedRole) {
		md := newTargets()
		md.Signed.Version = 1
		if len(roles) > 0 {
			md.Signed.Delegations = &tuf.Delegations{Keys: map[string]*tuf.Key{}, Roles: roles}
		}
		data, err := encode(md)
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = newRoleFile(name, data); err != nil {
			t.Fatal(err)
		}
	}
	role := func(name string, terminating bool, paths ...string) tuf.DelegatedRole {
		return tuf.DelegatedRole{Name: name, Terminating: terminating, Paths: paths}
	}
	add("targets", role("a", false, "*/*"), role("b", false, "x/*"), role("c", true, "x/*"), role("d", false, "*/*"))
	add("a", role("e", false, "x/*"), role("f", false, "y/*"))
	add("b", role("a", false, "*/*"), role("targets", false, "*/*"))
	add("e", role("a", false, "*/*")) // a cycle
	for _, name := range []string{"c", "d", "f"} {
		add(name)
	}
	v := newParsedFiles().viewOf(func(role string) *roleFile { return files[role] })
	for path, want := range map[string]string{
		"x/1": "targets a e b c",
		"y/1": "targets a f d",
		"z":   "targets",
	} {
		got, err := v.visits(path)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v, want %s", path, got, err, want)
		}
	}
}
