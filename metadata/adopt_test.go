package metadata

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// origin is the channel as one that adopts it has read it: from elsewhere with digest "".
func (w *world) origin(digest string) *Origin {
	from := &Origin{Head: Head{Digest: digest}, Pin: 1}
	if digest != "" {
		from.Tag, from.At = "tuf", w.now
	}
	for _, name := range slices.Sorted(maps.Keys(w.channel)) {
		from.Files = append(from.Files, w.channel[name])
	}
	return from
}

// adoptOptions are those of another workspace, which has no key yet.
func (w *world) adoptOptions() InitOptions {
	return InitOptions{Repository: "registry.example/trust/moved", Now: w.clock, Env: w.env, Keys: map[string][]string{}}
}

// adopt makes another workspace of the channel.
func (w *world) adopt(from *Origin, o InitOptions) (*Workspace, *Adoption, error) {
	w.t.Helper()
	ws, found, err := Adopt(filepath.Join(w.t.TempDir(), "adopted"), from, o)
	if err == nil {
		w.t.Cleanup(func() { _ = ws.Close() })
	}
	return ws, found, err
}

// grown is a repository with what a workspace can have: a role, hash bins, periods of its own, a second root.
func grown(t *testing.T) *world {
	t.Helper()
	w, ws := standard(t)
	w.addKey(ws, "team")
	w.addKey(ws, "bins")
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"team"}, Expires: 90 * day}))
	w.must(ws.AddBins(BinsOptions{Bins: 2, Keys: []string{"rel"}, BinKeys: []string{"bins"}}))
	w.must(ws.SetRole([]string{"root", "timestamp", "bins"}, RoleEdit{Expires: 20 * day, RenewWithin: 3 * day}))
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.publish(ws)
	w.must(ws.Close())
	return w
}

// tufoci.yaml is made out of the metadata: every key once, the periods, and what the options say of keys.
func TestAdoptMakesTheConfiguration(t *testing.T) {
	t.Parallel()
	w := grown(t)
	o := w.adoptOptions()
	o.Keys = map[string][]string{"root": {w.uri("root-b")}, "snapshot": {w.uri("online")}, "team": {w.uri("team")}, "bins": {w.uri("bins")}}
	o.Expires = map[string]time.Duration{"targets": 100 * day}
	ws, found, err := w.adopt(w.origin("sha256:x"), o)
	w.must(err)
	cfg := ws.Config()
	uris := map[string]int{}
	for name, k := range cfg.Keys {
		if uris[k.URI]++; (k.URI == "") != strings.HasPrefix(name, "key-") {
			t.Errorf("key %q: %+v", name, k)
		}
	}
	if len(cfg.Keys) != 6 || uris[""] != 2 || uris["env:online"] != 1 { // root-a and rel are held elsewhere
		t.Errorf("keys %v", uris)
	}
	for role, want := range map[string][2]time.Duration{
		"root": {20 * day, 3 * day}, "timestamp": {20 * day, 3 * day}, "bins": {20 * day, 3 * day},
		"team": {90 * day, 45 * day}, "snapshot": {7 * day, 6 * day}, "targets": {100 * day, 45 * day},
	} {
		if expires, renew := cfg.Periods(role); expires != want[0] || renew != want[1] {
			t.Errorf("%s lives for %s, renewed within %s", role, expires, renew)
		}
	}
	st, err := ws.Status()
	if w.must(err); len(st.Drift) != 1 || !strings.Contains(st.Drift[0], "targets") || st.Published == nil || len(st.Added) > 0 {
		t.Errorf("%+v", st)
	}
	if errs := LintErrors(found.Findings); len(errs) > 0 || len(found.Unusable) > 0 {
		t.Errorf("%v", found)
	}
	w.must(ws.Close())
	if _, err := os.Lstat(filepath.Join(ws.Dir(), stateDir, blobsDir, checksum([]byte("a")))); err != nil {
		t.Error(err)
	}
}

// The life that is seen counts where the metadata states none, and the names and days of tuf-on-ci.
func TestAdoptReadsWhatOthersState(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.Close())
	from := w.origin("")
	alter(t, from, "root", func(s string) string {
		s = strings.Replace(s, `"scheme":"ed25519"`, `"scheme":"ed25519","x-tuf-on-ci-keyowner":"@Ann B/"`, 1)
		s = strings.Replace(s, `"roles":{`, `"x-tuf-on-ci-expiry-period":400,"x-tuf-on-ci-signing-period":"many","roles":{`, 1)
		i := strings.LastIndex(s, `"threshold":1}`)
		return without(s[:i] + `"threshold":1,"x-tuf-on-ci-expiry-period":4,"x-tuf-on-ci-signing-period":2` + s[i+len(`"threshold":1`):])
	})
	alter(t, from, "snapshot", without)
	alter(t, from, "targets", func(s string) string {
		return without(strings.Replace(s, `"expires":"2027-05-22T`, `"expires":"2027-12-30T`, 1))
	})
	alter(t, from, "timestamp", without)
	ws, _, err := w.adopt(from, w.adoptOptions())
	w.must(err)
	for role, want := range map[string][2]time.Duration{
		"root": {400 * day, 60 * day}, "timestamp": {4 * day, 2 * day}, "snapshot": {7 * day, 6 * day}, "targets": {402 * day, 45 * day},
	} {
		if expires, renew := ws.Config().Periods(role); expires != want[0] || renew != want[1] {
			t.Errorf("%s lives for %s, renewed within %s", role, expires, renew)
		}
	}
	if k := ws.Config().Keys["ann-b"]; k.Owner != "@Ann B/" {
		t.Errorf("keys %v", slices.Sorted(maps.Keys(ws.Config().Keys)))
	}
}

// alter changes a file of an origin, whose signatures nobody looks at again.
func alter(t *testing.T, from *Origin, role string, change func(string) string) {
	t.Helper()
	for i, f := range from.Files {
		if name, _, ok := ParseTitle(f.Name); ok && name == role {
			next := change(string(f.Data))
			if next == string(f.Data) {
				t.Fatalf("%s is as it was", role)
			}
			from.Files[i] = File{Name: f.Name, Data: []byte(next), SHA256: checksum([]byte(next)), Length: int64(len(next))}
		}
	}
}

// without takes out what this program states of periods.
func without(s string) string {
	return strings.NewReplacer(`"x-tufoci-expires":`, `"x-a":`, `"x-tufoci-renew-within":`, `"x-b":`).Replace(s)
}

func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	w := grown(t)
	for name, c := range map[string]struct {
		change func(*Origin, *InitOptions)
		want   error
	}{
		"no repository":       {func(_ *Origin, o *InitOptions) { o.Repository = "" }, ErrInvalid},
		"thresholds":          {func(_ *Origin, o *InitOptions) { o.Thresholds = map[string]int{"root": 1} }, ErrInvalid},
		"a key of nobody":     {func(_ *Origin, o *InitOptions) { o.Keys["root"] = []string{w.uri("nobody")} }, ErrKey},
		"a key of others":     {func(_ *Origin, o *InitOptions) { o.Keys["root"] = []string{w.uri("rel")} }, ErrKey},
		"a role of nobody":    {func(_ *Origin, o *InitOptions) { o.Keys["x"] = []string{w.uri("rel")} }, ErrNoRole},
		"a missing key":       {func(_ *Origin, o *InitOptions) { o.Keys["root"] = []string{"env:NONE"} }, ErrKeyMissing},
		"a pin that is not":   {func(from *Origin, _ *InitOptions) { from.Pin = 3 }, ErrHead},
		"no pin":              {func(from *Origin, _ *InitOptions) { from.Pin = 0 }, ErrHead},
		"no first root":       {func(from *Origin, _ *InitOptions) { drop(from, "metadata/1.root.json") }, ErrHead},
		"no snapshot":         {func(from *Origin, _ *InitOptions) { drop(from, "metadata/2.snapshot.json") }, ErrHead},
		"no target file":      {func(from *Origin, _ *InitOptions) { drop(from, TargetTitle("a", checksum([]byte("a")))) }, ErrHead},
		"another target file": {func(from *Origin, _ *InitOptions) { from.Files[len(from.Files)-1].Data = []byte("b") }, ErrHead},
		"two names": {func(_ *Origin, o *InitOptions) {
			w.keys["x/online"], w.keys["y/online"] = w.keys["online"], w.keys["rel"]
			o.Keys = map[string][]string{"snapshot": {"env:x/online"}, "targets": {"env:y/online"}}
		}, ErrKeyExists},
	} {
		from, o := w.origin(""), w.adoptOptions()
		c.change(from, &o)
		dir := filepath.Join(t.TempDir(), "adopted")
		_, _, err := Adopt(dir, from, o)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the directory was made", name)
		}
	}
}

// drop takes a file away.
func drop(from *Origin, name string) {
	from.Files = slices.DeleteFunc(from.Files, func(f File) bool { return f.Name == name })
}

func TestFileHash(t *testing.T) {
	t.Parallel()
	sha512 := "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
	sum := FileHash(map[string]string{"sha512": sha512, "md5": "x"})
	if sum != sha512 || !isHash(sum) || !hasFileHash([]byte("abc"), sum) || hasFileHash([]byte("abd"), sum) {
		t.Errorf("sha512: %q", sum)
	}
	sum = FileHash(map[string]string{"sha512": sha512, "sha256": checksum([]byte("abc"))})
	if !isSHA256(sum) || !hasFileHash([]byte("abc"), sum) || hasFileHash([]byte("abd"), sum) || isHash("../"+sum[3:]) {
		t.Errorf("sha256: %q", sum)
	}
}

// The root that an adopted repository is verified from stays the pin, whatever the base is replaced by.
func TestAdoptedPinStays(t *testing.T) {
	t.Parallel()
	w := grown(t)
	o := w.adoptOptions()
	o.Keys = map[string][]string{
		"root": {w.uri("root-b")}, "targets": {w.uri("rel")}, "snapshot": {w.uri("online")}, "team": {w.uri("team")}, "bins": {w.uri("bins")},
	}
	from := w.origin(w.head().Digest)
	from.Pin = 2
	ws, _, err := w.adopt(from, o)
	w.must(err)
	w.dir = ws.Dir()
	pinned, err := bytesOf(ws.base.roots[1])
	w.must(err)
	check := func(after string) {
		t.Helper()
		if root, err := ws.Root1(); err != nil || string(root) != string(pinned) || filepath.Base(ws.Root1File()) != "2.root.json" {
			t.Errorf("after %s the pin is %s, %v", after, ws.Root1File(), err)
		}
	}
	check("the adoption")
	add("mine", "mine")(w, ws)
	w.sign(ws)
	w.publish(ws)
	check("a publish")
	w.must(ws.Close())
	ws = w.open()
	w.other(add("theirs", "theirs"))
	add("more", "more")(w, ws)
	_, err = w.rebase(ws, RebaseOptions{})
	w.must(err)
	check("a rebase")
	w.must(ws.ResetAll())
	check("a reset")
	w.other(add("others", "others"))
	w.must(ws.TakeOver(w.head(), "tuf", w.now))
	check("taking over a head")
	w.must(ws.Close())
	ws = w.open()
	add("again", "again")(w, ws)
	_, err = w.rebase(ws, RebaseOptions{DryRun: true})
	w.must(err)
	check("a rebase that is only tried")
}
