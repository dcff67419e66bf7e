package metadata

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestInitDevMakesItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := []string{}
	pass := func(name string) ([]byte, error) {
		asked = append(asked, name)
		return []byte("correct horse"), nil
	}
	ws := w.init(InitOptions{Repository: "localhost:5000/trust/tuf", Profile: ProfileDev, Now: w.clock, Passphrase: pass})
	c := ws.Config()
	if c.Channel != "tuf" || c.Images != "localhost:5000" || !c.NoSpareKey {
		t.Errorf("%+v", c)
	}
	data, err := os.ReadFile(filepath.Join(w.dir, ".tufoci", "keys", "dev.pem"))
	if w.must(err); !IsEncrypted(data) {
		t.Error("the key is not encrypted")
	}
	w.must(ws.Close())

	// A wrong passphrase, then the right one; it is asked for once.
	ws, err = Open(w.dir, OpenOptions{Now: w.clock, Passphrase: func(string) ([]byte, error) { return []byte("wrong"), nil }})
	w.must(err)
	_, err = w.assemble(ws)
	wantErr(t, err, ErrPassphrase, `key "dev"`)
	w.must(ws.Close())
	asked = nil
	ws, err = Open(w.dir, OpenOptions{Now: w.clock, Passphrase: pass})
	w.must(err)
	w.publish(ws)
	if !slices.Equal(asked, []string{"dev"}) {
		t.Errorf("asked for %v", asked)
	}
	w.must(ws.Close())
}

func TestInitStandardIsUnsigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(InitOptions{Repository: "registry.example/trust/tuf", Now: w.clock})
	st, err := ws.Status()
	w.must(err)
	type row struct {
		role                string
		base, staged        int64
		signed, need, nkeys int
		life                time.Duration
	}
	var got []row
	for _, r := range st.Roles {
		got = append(got, row{r.Role, r.BaseVersion, r.StagedVersion, r.Signed, r.Need, len(r.Keys), r.Expires.Sub(seconds(w.now))})
	}
	want := []row{
		{"root", 0, 1, 0, 2, 0, 365 * day},
		{"targets", 0, 1, 0, 1, 0, 180 * day},
		{"snapshot", 0, 1, 0, 1, 0, 7 * day},
		{"timestamp", 0, 1, 0, 1, 0, 7 * day},
	}
	if !slices.Equal(got, want) {
		t.Errorf("status\n%v, want\n%v", got, want)
	}
	if len(st.Drift) > 0 || st.Published != nil {
		t.Errorf("%+v", st)
	}
}

func TestInitTakesKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	w.uri("secret")
	key, err := DecodePrivateKey([]byte(w.keys["secret"]), nil)
	w.must(err)
	pub, err := PublicKey(key.Public())
	w.must(err)
	data, err := MarshalPublicKey(pub)
	w.must(err)
	public := filepath.Join(dir, "held-elsewhere.pub")
	w.must(os.WriteFile(public, data, 0o600))
	o := w.initOptions()
	o.Keys["root"] = append(o.Keys["root"], public)
	o.Expires = map[string]time.Duration{"timestamp": 36 * time.Hour}
	o.RenewWithin = map[string]time.Duration{"timestamp": 12 * time.Hour, "snapshot": day}
	ws := w.init(o)
	k := ws.Config().Keys["held-elsewhere"]
	if k.URI != "" || k.Public == "" || ws.Config().Keys["online"].URI != "env:online" {
		t.Errorf("keys %+v", ws.Config().Keys)
	}
	info, err := ws.Role("timestamp")
	if w.must(err); info.Period != 36*time.Hour || info.RenewWithin != 12*time.Hour || len(info.Keys) != 1 {
		t.Errorf("%+v", info)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*InitOptions)
		want   error
	}{
		"no repository":     {func(o *InitOptions) { o.Repository = "" }, ErrInvalid},
		"a digest":          {func(o *InitOptions) { o.Repository = "a/b@sha256:0" }, ErrInvalid},
		"no path":           {func(o *InitOptions) { o.Repository = "registry.example" }, ErrInvalid},
		"channel":           {func(o *InitOptions) { o.Channel = "a.b" }, ErrInvalid},
		"layout":            {func(o *InitOptions) { o.Layout = "x" }, ErrInvalid},
		"profile":           {func(o *InitOptions) { o.Profile = "x" }, ErrInvalid},
		"threshold":         {func(o *InitOptions) { o.Thresholds["root"] = -1 }, ErrInvalid},
		"threshold of":      {func(o *InitOptions) { o.Thresholds["x"] = 1 }, ErrInvalid},
		"key of":            {func(o *InitOptions) { o.Keys["x"] = []string{w.uri("dev")} }, ErrInvalid},
		"period":            {func(o *InitOptions) { o.Expires = map[string]time.Duration{"root": -day} }, ErrInvalid},
		"renewal":           {func(o *InitOptions) { o.RenewWithin = map[string]time.Duration{"root": 999 * day} }, ErrInvalid},
		"missing key":       {func(o *InitOptions) { o.Keys["root"] = []string{"env:NONE"} }, ErrKeyMissing},
		"missing file":      {func(o *InitOptions) { o.Keys["root"] = []string{"no/such.pem"} }, ErrKeyMissing},
		"dev, nobody there": {func(o *InitOptions) { o.Profile, o.Keys = ProfileDev, nil }, ErrPassphrase},
		"dev, empty": {func(o *InitOptions) {
			o.Profile, o.Keys = ProfileDev, nil
			o.Passphrase = func(string) ([]byte, error) { return nil, nil }
		}, ErrPassphrase},
	} {
		o := w.initOptions()
		c.change(&o)
		_, err := Init(w.dir, o)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		wantErr(t, err, c.want)
		if _, err := os.Lstat(w.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: the directory was made", name)
		}
	}
}

func TestInitRefusesAWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	w.publish(ws)
	before := w.files()
	_, err := Init(w.dir, w.devOptions())
	wantErr(t, err, ErrWorkspaceExists)
	w.must(ws.Close())
	// Without tufoci.yaml there is still something to lose.
	w.must(os.Remove(filepath.Join(w.dir, configFile)))
	_, err = Init(w.dir, w.devOptions())
	wantErr(t, err, ErrWorkspaceExists, "base.json")
	after := w.files()
	for name, data := range before {
		if after[name] != data {
			t.Errorf("%s changed", name)
		}
	}
	_, err = Open(w.dir, OpenOptions{})
	wantErr(t, err, ErrNoWorkspace, configFile)
	_, err = Open(t.TempDir(), OpenOptions{})
	wantErr(t, err, ErrNoWorkspace)
}

// A failing Init or Adopt leaves what was there before; a killed one can be repeated, also by the other.
func TestInitFailsAtAnyStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	from := w.origin("")
	w.must(ws.Close())
	private := []byte("a key") // not a real one: deriving its encryption is slow
	initialise := func(n *initialisation) (initialContent, error) {
		c, err := n.prepare()
		c.private = private
		return c, err
	}
	adopt := func(n *initialisation) (initialContent, error) {
		n.o.Thresholds = nil
		a := &adoption{initialisation: *n, from: from, found: &Adoption{}}
		return a.prepare()
	}
	type preparation func(*initialisation) (initialContent, error)
	run := func(prepare preparation, dir string, n int, killed bool) (*int, error) {
		ws := newWorkspace(dir, OpenOptions{Now: w.clock, Env: w.env})
		i := &initialisation{w: ws, o: w.devOptions()}
		c, err := prepare(i)
		w.must(err)
		steps := killAt(ws.disk, n)
		if !killed {
			steps = failAt(ws.disk, n)
		}
		err = i.write(c)
		if err != nil && !killed {
			w.must(i.undo())
		}
		w.must(ws.Close())
		return steps, err
	}
	for name, prepare := range map[string]preparation{"init": initialise, "adopt": adopt} {
		steps, err := run(prepare, filepath.Join(t.TempDir(), "ws"), 1<<30, false)
		w.must(err)
		for n := range kills(t, *steps) {
			dir := filepath.Join(t.TempDir(), "ws")
			if _, err := run(prepare, dir, n, false); !errors.Is(err, errKilled) {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s, step %d: something is left", name, n)
			}
			if _, err := run(prepare, dir, n, true); !errors.Is(err, errKilled) {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, configFile)); errors.Is(err, fs.ErrNotExist) {
				if _, err := run([]preparation{initialise, adopt}[n%2], dir, 1<<30, true); err != nil {
					t.Fatalf("%s, step %d: %v", name, n, err)
				}
			}
			ws, err := Open(dir, OpenOptions{Now: w.clock, Env: w.env})
			if err != nil {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			noTemps(t, dir)
			w.must(ws.Close())
		}
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := Open(w.dir, OpenOptions{})
	wantErr(t, err, ErrLocked)
	_, err = Open(w.dir, OpenOptions{ReadOnly: true})
	wantErr(t, err, ErrLocked)
	w.must(ws.Close())
	a, err := Open(w.dir, OpenOptions{ReadOnly: true})
	w.must(err)
	b, err := Open(w.dir, OpenOptions{ReadOnly: true})
	w.must(err)
	_, err = Open(w.dir, OpenOptions{})
	wantErr(t, err, ErrLocked)
	for name, edit := range map[string]func() error{
		"target":   func() error { _, err := a.AddTarget("a", []byte("a"), TargetOptions{}); return err },
		"remove":   func() error { _, err := a.RemoveTarget("", "a"); return err },
		"entries":  func() error { _, err := a.AddTargetEntries(bytes.NewReader(nil), TargetOptions{}); return err },
		"role":     func() error { return a.SetRole([]string{"root"}, RoleEdit{Expires: day}) },
		"config":   func() error { return a.UpdateConfig(func(*Config) error { return nil }) },
		"sign":     func() error { _, err := a.Sign(t.Context(), nil, nil); return err },
		"reset":    func() error { return a.Reset("targets") },
		"all":      a.ResetAll,
		"assemble": func() error { _, err := a.Assemble(t.Context(), w.head(), AssembleOptions{}); return err },
		"record":   func() error { return a.Published(&Release{}, "", "", w.now) },
	} {
		if edit() == nil {
			t.Errorf("%s: a workspace that is read only was changed", name)
		}
	}
	if _, err := a.Status(); err != nil {
		t.Error(err)
	}
	if _, err := a.Assemble(t.Context(), w.head(), AssembleOptions{DryRun: true}); err != nil {
		t.Error(err)
	}
	w.must(errors.Join(a.Close(), b.Close()))
}

func TestUpdateConfig(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	wantErr(t, ws.UpdateConfig(func(c *Config) error { c.Profile = "x"; return nil }), ErrInvalid)
	if ws.Config().Profile != ProfileDev {
		t.Error("a refused edit stays")
	}
	w.must(ws.UpdateConfig(func(c *Config) error { c.Images = "images.example"; return nil }))
	w.must(ws.Close())
	if got := w.open().Config().Images; got != "images.example" {
		t.Errorf("images %q", got)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.must(filepath.WalkDir(filepath.Join(w.dir, stateDir), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && d.Name() != lockFile {
			t.Errorf("%s is %s", path, info.Mode())
		}
		return err
	}))
}

func TestDamagedWorkspace(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.must(ws.Close())
	for name, damage := range map[string]func(dir string) error{
		"base.json": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "base", "base.json"), []byte("{"), 0o600)
		},
		"newer base": func(dir string) error {
			return replaceIn(filepath.Join(dir, "base", "base.json"), `"version": 1,`, `"version": 2,`)
		},
		"path in base": func(dir string) error {
			return replaceIn(filepath.Join(dir, "base", "base.json"), `"1.root.json"`, `"../1.root.json"`)
		},
		"role is gone": func(dir string) error {
			return replaceIn(filepath.Join(dir, "base", "base.json"), `"snapshot"`, `"other"`)
		},
		"staged junk": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "staged", "2.targets.json"), []byte("{}"), 0o600)
		},
		"staged version": func(dir string) error {
			return os.Rename(filepath.Join(dir, "staged", "2.targets.json"), filepath.Join(dir, "staged", "3.targets.json"))
		},
		"staged far ahead": func(dir string) error {
			from, to := filepath.Join(dir, "staged", "2.targets.json"), filepath.Join(dir, "staged", "3.targets.json")
			return errors.Join(replaceIn(from, `"version":2`, `"version":3`), os.Rename(from, to))
		},
		"staged type": func(dir string) error {
			return os.Rename(filepath.Join(dir, "staged", "2.targets.json"), filepath.Join(dir, "staged", "2.root.json"))
		},
		"staged name": func(dir string) error {
			return replaceIn(filepath.Join(dir, "staged", "2.targets.json"), `"version":2`, `"version":3`)
		},
	} {
		victim := w.clone()
		w.must(damage(filepath.Join(victim.dir, stateDir)))
		_, err := Open(victim.dir, OpenOptions{})
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A role of the base is read, and held to base.json, when it is needed.
	victim := w.clone()
	w.must(replaceIn(filepath.Join(victim.dir, stateDir, "base", "1.targets.json"), `"targets":{}`, `"targets": {}`))
	ws = victim.open()
	_, err = ws.Diff()
	wantErr(t, err, ErrDamaged, "is not what was published")
}

func replaceIn(path, old, next string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(data, []byte(old)) {
		return errors.New("nothing to replace: " + old)
	}
	return os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(next), 1), 0o600)
}
