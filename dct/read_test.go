package dct_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/dct"
	"github.com/tufoci/tufoci/internal/tuftest"
)

const gun = "registry.example.com/shop/api"

var now = tuftest.Epoch

// write puts metadata into a directory.
func write(t *testing.T, dir string, files map[string][]byte) string {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// signedOnce is a repository with a release, an older tag, and what only Alice has signed.
func signedOnce(t *testing.T) *tuftest.Notary {
	t.Helper()
	n := tuftest.NewNotary(t, gun, now)
	n.Keys["targets/alice"] = tuftest.NewNotaryKey(t, "", now)
	n.Sign("targets/releases", "v2", []byte("two"))
	n.Sign("targets", "v1", []byte("one"))
	n.Sign("targets", "v2", []byte("an older one"))
	n.Sign("targets/alice", "v3", []byte("three"))
	return n
}

func tags(r dct.Repository) string {
	var out []string
	for _, t := range r.Tags {
		out = append(out, t.Name+" "+t.SHA256[:6]+" "+t.Role)
	}
	return strings.Join(out, ", ")
}

// The metadata that Notary itself has written verifies.
func TestReadsWhatNotaryWrote(t *testing.T) {
	t.Parallel()
	at, err := time.Parse(time.RFC3339, "2026-11-27T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile("testdata/notary/root.json")
	if err != nil {
		t.Fatal(err)
	}
	read, err := dct.Read("testdata/notary", dct.Options{Root: root, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	r := read[0]
	if r.GUN != gun || !r.Verified || tags(r) != "v0 f9194e targets, v1 7692c3 targets/releases" || len(r.Keys) != 6 || len(r.Roles) != 5 {
		t.Errorf("%+v", r)
	}
	// docker names the file of the private root key after this id.
	if _, err := dct.Read("testdata/notary", dct.Options{RootKeys: []string{r.Keys[0].ID}, Now: at}); err != nil {
		t.Error(err)
	}
}

func TestReadsTags(t *testing.T) {
	t.Parallel()
	n := signedOnce(t)
	n.Edit["targets"] = func(signed map[string]any) {
		for _, d := range signed["delegations"].(map[string]any)["roles"].([]any) {
			d.(map[string]any)["paths"] = []string{"v", "b"}
		}
	}
	n.Sign("targets/releases", "outside", []byte("its paths"))
	n.Targets["targets/releases"]["broken"] = map[string]any{"length": 1, "hashes": map[string]any{"sha512": "AA=="}}
	tree := write(t, filepath.Join(t.TempDir(), filepath.FromSlash(gun), "metadata"), n.Files())
	top, _ := strings.CutSuffix(tree, filepath.FromSlash("/"+gun+"/metadata"))
	for _, dir := range []string{top, filepath.Dir(tree), tree} {
		read, err := dct.Read(dir, dct.Options{RootKeys: []string{n.Keys["root"].CanonicalID}, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if r := read[0]; len(read) != 1 || r.GUN != gun || !r.Verified || tags(r) != "v1 7692c3 targets, v2 3fc4cc targets/releases" {
			t.Errorf("%s: %+v", dir, read)
		}
		var left []string
		for _, l := range read[0].Left {
			left = append(left, l.Role+" "+l.Name)
		}
		if !slices.Equal(left, []string{"targets v2", "targets/alice ", "targets/releases broken", "targets/releases outside"}) {
			t.Errorf("left: %q", left)
		}
	}
}

// What is above the targets may be missing, and then there is a warning.
func TestWarnsOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := signedOnce(t)
	files := n.Files()
	delete(files, "timestamp.json")
	delete(files, "snapshot.json")
	read, err := dct.Read(write(t, t.TempDir(), files), dct.Options{RootKeys: []string{n.Keys["root"].ID}, Now: now})
	if err != nil || len(read[0].Warnings) != 2 {
		t.Errorf("%+v, %v", read, err)
	}
}

// Each way in which the metadata is not that of the pinned root, whole and current.
func TestRefuses(t *testing.T) {
	t.Parallel()
	stranger := tuftest.NewNotaryKey(t, "", now)
	rooted := tuftest.NewNotaryKey(t, gun, now)
	type change = func(n *tuftest.Notary, o *dct.Options)
	type damage = func(files map[string][]byte)
	for name, c := range map[string]struct {
		change change
		damage damage
		want   error
	}{
		"no pin":                 {func(_ *tuftest.Notary, o *dct.Options) { o.RootKeys = nil }, nil, dct.ErrRoot},
		"another root key":       {func(_ *tuftest.Notary, o *dct.Options) { o.RootKeys = []string{rooted.CanonicalID} }, nil, dct.ErrRoot},
		"a key that is no root":  {func(n *tuftest.Notary, o *dct.Options) { o.RootKeys = []string{n.Keys["targets"].ID} }, nil, dct.ErrRoot},
		"another root.json":      {func(_ *tuftest.Notary, o *dct.Options) { o.Root = tuftest.NewNotary(t, gun, now).Files()["root.json"] }, nil, dct.ErrRoot},
		"an older root.json":     {func(_ *tuftest.Notary, o *dct.Options) { o.Root = olderRoot(t) }, nil, dct.ErrRoot},
		"a newer root.json":      {newerRoot, nil, dct.ErrRoot},
		"one key twice":          {twice, nil, dct.ErrSignature},
		"a key under another id": {misnamed, nil, dct.ErrSignature},
		"an authority as key": {func(n *tuftest.Notary, _ *dct.Options) {
			n.Keys["root"] = n.Keys["root"].Certified(t, gun, now, true)
		}, nil, dct.ErrFormat},
		"another name":         {func(n *tuftest.Notary, _ *dct.Options) { n.Keys["root"] = nil }, nil, dct.ErrRoot},
		"root, unsigned":       {nil, tamper("root.json", `"threshold":1`, `"threshold": 1,"x":1`), dct.ErrSignature},
		"targets, unsigned":    {nil, tamper("targets.json", `"version":1`, `"version":2`), dct.ErrSignature},
		"releases, unsigned":   {nil, tamper("targets/releases.json", `"version":1`, `"version":2`), dct.ErrSignature},
		"snapshot, unsigned":   {nil, tamper("snapshot.json", `"version":1`, `"version":2`), dct.ErrSignature},
		"timestamp, unsigned":  {nil, tamper("timestamp.json", `"version":1`, `"version":2`), dct.ErrSignature},
		"targets of another":   {nil, replace(t, "targets.json"), dct.ErrSignature},
		"releases of another":  {nil, replace(t, "targets/releases.json"), dct.ErrSignature},
		"no threshold":         {func(n *tuftest.Notary, _ *dct.Options) { n.Edit["targets"] = threshold(0) }, nil, dct.ErrSignature},
		"a threshold of two":   {func(n *tuftest.Notary, _ *dct.Options) { n.Edit["targets"] = threshold(2) }, nil, dct.ErrSignature},
		"an older root":        {nil, older("root.json"), dct.ErrSignature},
		"an older targets":     {nil, older("targets.json"), dct.ErrSignature},
		"an older releases":    {nil, older("targets/releases.json"), dct.ErrSignature},
		"an older snapshot":    {nil, older("snapshot.json"), dct.ErrSignature},
		"no releases":          {nil, lose("targets/releases.json"), dct.ErrFormat},
		"no snapshot":          {nil, lose("snapshot.json"), dct.ErrFormat},
		"no releases, no list": {nil, lose("targets/releases.json", "snapshot.json", "timestamp.json"), dct.ErrFormat},
		"targets for root":     {nil, func(f map[string][]byte) { f["root.json"] = f["targets.json"] }, dct.ErrFormat},
		"snapshot for targets": {func(n *tuftest.Notary, _ *dct.Options) { n.Keys["snapshot"] = n.Keys["targets"] }, func(f map[string][]byte) {
			f["targets.json"] = f["snapshot.json"]
			lose("snapshot.json", "timestamp.json")(f)
		}, dct.ErrFormat},
		"no JSON":                {nil, func(f map[string][]byte) { f["targets.json"] = []byte("{") }, dct.ErrFormat},
		"nothing":                {nil, lose("root.json"), dct.ErrFormat},
		"root has expired":       {expire("root"), nil, dct.ErrExpired},
		"targets has expired":    {expire("targets"), nil, dct.ErrExpired},
		"releases has expired":   {expire("targets/releases"), nil, dct.ErrExpired},
		"timestamp has expired":  {expire("timestamp"), nil, dct.ErrExpired},
		"snapshot has expired":   {expire("snapshot"), nil, dct.ErrExpired},
		"the certificate, too":   {late, nil, dct.ErrExpired},
		"signed by nobody known": {func(n *tuftest.Notary, _ *dct.Options) { n.RootSigners = []*tuftest.NotaryKey{stranger} }, nil, dct.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := signedOnce(t)
			o := dct.Options{RootKeys: []string{n.Keys["root"].ID}, Now: now}
			if c.change != nil {
				c.change(n, &o)
			}
			dir := t.TempDir()
			if n.Keys["root"] == nil { // that of another repository, in the place of this one
				n.Keys["root"] = tuftest.NewNotaryKey(t, "registry.example.com/other", now)
				o.RootKeys = []string{n.Keys["root"].ID}
				dir = filepath.Join(dir, filepath.FromSlash(gun), "metadata")
			}
			files := n.Files()
			if c.damage != nil {
				c.damage(files)
			}
			write(t, dir, files)
			top, _ := strings.CutSuffix(dir, filepath.FromSlash("/"+gun+"/metadata"))
			read, err := dct.Read(top, o)
			if !errors.Is(err, c.want) || read != nil {
				t.Errorf("%v, %v; want %v", read, err, c.want)
			}
			if c.want != dct.ErrExpired {
				return
			}
			o.AllowExpired = true
			if read, err = dct.Read(top, o); err != nil || read[0].Verified || len(read[0].Warnings) == 0 {
				t.Errorf("with expired metadata allowed: %+v, %v", read, err)
			}
		})
	}
}

func expire(role string) func(*tuftest.Notary, *dct.Options) {
	return func(n *tuftest.Notary, _ *dct.Options) { n.Expires[role] = now }
}

// late is after the certificate of the root key, all metadata being current.
func late(n *tuftest.Notary, o *dct.Options) {
	o.Now = now.AddDate(11, 0, 0)
	for _, role := range []string{"root", "targets", "snapshot", "timestamp", "targets/releases", "targets/alice"} {
		n.Expires[role] = now.AddDate(12, 0, 0)
	}
}

func threshold(n int) func(map[string]any) {
	return func(signed map[string]any) {
		for _, d := range signed["delegations"].(map[string]any)["roles"].([]any) {
			d.(map[string]any)["threshold"] = n
		}
	}
}

// newerRoot pins a later root of the same keys than the one that is there.
func newerRoot(n *tuftest.Notary, o *dct.Options) {
	n.Version["root"] = 2
	o.Root = n.Files()["root.json"]
	n.Version["root"] = 1
}

// twice lets one key sign root for a threshold of two, under two certificates.
func twice(n *tuftest.Notary, o *dct.Options) {
	first := n.Keys["root"]
	second := first.Certified(n.T(), gun, now.Add(time.Minute), false)
	n.RootSigners = []*tuftest.NotaryKey{first, second}
	o.RootKeys = []string{first.CanonicalID}
	n.Edit["root"] = func(signed map[string]any) {
		signed["keys"].(map[string]any)[second.ID] = second.Public()
		signed["roles"].(map[string]any)["root"] = map[string]any{"keyids": []string{first.ID, second.ID}, "threshold": 2}
	}
}

// misnamed lists the key of targets under an id that is not its hash.
func misnamed(n *tuftest.Notary, _ *dct.Options) {
	n.Edit["root"] = func(signed map[string]any) {
		signed["keys"].(map[string]any)["aa"] = n.Keys["targets"].Public()
		signed["roles"].(map[string]any)["targets"] = map[string]any{"keyids": []string{"aa"}, "threshold": 1}
	}
}

// olderRoot is from before all roots, of keys that have signed none of them.
func olderRoot(t *testing.T) []byte {
	n := tuftest.NewNotary(t, gun, now)
	n.Edit["root"] = func(signed map[string]any) { signed["version"] = 0 }
	return n.Files()["root.json"]
}

func tamper(name, old, next string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		files[name] = []byte(strings.Replace(string(files[name]), old, next, 1))
	}
}

// replace puts in what another repository of this name has signed, and no list to compare it with.
func replace(t *testing.T, name string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		other := signedOnce(t).Files()
		files[name] = other[name]
		delete(files, "snapshot.json")
		delete(files, "timestamp.json")
	}
}

// older puts in another version, signed by the same keys.
func older(name string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		files[name] = append([]byte(" "), files[name]...)
	}
}

func lose(names ...string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		for _, name := range names {
			delete(files, name)
		}
	}
}

// What stands in the first of two members of a name is signed by nobody, and is read by nobody.
func TestRefusesMembersTwice(t *testing.T) {
	t.Parallel()
	const entry = `{"length":4,"hashes":{"sha256":"9S4P8wbLPbaoMNE2k1mN8Go0Rvr1gZmd4mNsVtTjvVk="}}`
	for name, change := range map[string]func(map[string][]byte){
		"targets":     tamper("targets.json", `"targets":{`, `"targets":{"evil":`+entry+`},"targets":{`),
		"releases":    tamper("targets/releases.json", `"targets":{`, `"targets":{"evil":`+entry+`},"targets":{`),
		"delegations": tamper("targets.json", `"delegations":{`, `"delegations":{"roles":[{"paths":[""]}]},"delegations":{`),
		"keys":        tamper("root.json", `"keys":{`, `"keys":{},"keys":{`),
		"escaped":     tamper("targets.json", `"targets":{`, `"target\u0073":{"evil":`+entry+`},"targets":{`),
		"signed":      tamper("targets.json", `"signed":{`, `"signed":{},"signed":{`),
		"in an array": tamper("targets.json", `"paths":[""]`, `"paths":["evil"],"paths":[""]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := signedOnce(t)
			files := n.Files()
			lose("snapshot.json", "timestamp.json")(files)
			change(files)
			read, err := dct.Read(write(t, t.TempDir(), files), dct.Options{RootKeys: []string{n.Keys["root"].ID}, Now: now})
			if !errors.Is(err, dct.ErrFormat) || !strings.Contains(err.Error(), "twice") {
				t.Errorf("%+v, %v", read, err)
			}
		})
	}
}

// A root that was rotated is one that the keys of the given root have signed.
func TestFollowsARotatedRoot(t *testing.T) {
	t.Parallel()
	n := signedOnce(t)
	given, old := n.Files()["root.json"], n.Keys["root"]
	n.Keys["root"] = tuftest.NewNotaryKey(t, gun, now)
	n.Version["root"] = 2
	n.RootSigners = []*tuftest.NotaryKey{n.Keys["root"]}
	_, err := dct.Read(write(t, t.TempDir(), n.Files()), dct.Options{Root: given, Now: now})
	if !errors.Is(err, dct.ErrRoot) {
		t.Errorf("signed by the new key alone: %v", err)
	}
	n.RootSigners = []*tuftest.NotaryKey{n.Keys["root"], old}
	if read, err := dct.Read(write(t, t.TempDir(), n.Files()), dct.Options{Root: given, Now: now}); err != nil || !read[0].Verified {
		t.Errorf("signed by both: %+v, %v", read, err)
	}
}

func TestReadsLists(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	read, err := dct.ReadList([]byte(`[{"Name":"localhost:5000/shop/api:v1","SignedTags":[
		{"SignedTag":"v2","Digest":"` + sum + `","Signers":["alice"]},{"SignedTag":"v1","Digest":"sha256:` + sum + `","Signers":["Repo Admin"]}],
		"Signers":[{"Name":"alice","Keys":[{"ID":"aa"}]}],
		"AdministrativeKeys":[{"Name":"Root","Keys":[{"ID":"bb"}]},{"Name":"Repository","Keys":[{"ID":"cc"}]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	r := read[0]
	want := []dct.Key{{Role: "targets/alice", ID: "aa"}, {Role: "root", ID: "bb"}, {Role: "targets", ID: "cc"}}
	if r.GUN != "localhost:5000/shop/api" || r.Verified || tags(r) != "v1 ababab , v2 ababab " || !slices.Equal(r.Keys, want) {
		t.Errorf("%+v", r)
	}
	for name, list := range map[string]string{
		"no list":      `{}`,
		"empty":        `[]`,
		"no name":      `[{"SignedTags":[]}]`,
		"no digest":    `[{"Name":"a","SignedTags":[{"SignedTag":"v1"}]}]`,
		"another hash": `[{"Name":"a","SignedTags":[{"SignedTag":"v1","Digest":"sha512:` + sum + sum + `"}]}]`,
		"a tag twice":  `[{"Name":"a","SignedTags":[{"SignedTag":"v1","Digest":"` + sum + `"},{"SignedTag":"v1","Digest":"` + sum + `"}]}]`,
	} {
		if _, err := dct.ReadList([]byte(list)); !errors.Is(err, dct.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
