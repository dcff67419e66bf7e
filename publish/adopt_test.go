package publish_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// privatePEM is a key of a test repository as a file would hold it.
func privatePEM(t testing.TB, key *tuftest.Key) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// adoptOptions give a workspace the keys of roles of a test repository, the first of each.
func adoptOptions(t testing.TB, r *tuftest.Repo, roles ...string) metadata.InitOptions {
	t.Helper()
	o := metadata.InitOptions{Repository: "registry.example.com/" + repository, Now: clock, Keys: map[string][]string{}}
	keys := map[string]string{}
	for _, role := range roles {
		o.Keys[role] = []string{"env:KEY_" + role}
		keys["KEY_"+role] = privatePEM(t, r.Signer(role))
	}
	o.Env = func(name string) (string, bool) { v, ok := keys[name]; return v, ok }
	return o
}

// adopt makes a workspace of a view, with channel if it is the one that it publishes to.
func adopt(t testing.TB, view *trust.View, channel string, o metadata.InitOptions) (*author, *metadata.Adoption, error) {
	t.Helper()
	from, err := publish.ReadOrigin(t.Context(), view, channel, now)
	if err != nil {
		return nil, nil, err
	}
	ws, found, err := metadata.Adopt(filepath.Join(t.TempDir(), "adopted"), from, o)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = ws.Close() })
	return &author{t: t, ws: ws, now: now}, found, nil
}

// classic is a repository that has been published three times, with a delegated role.
func classic(t testing.TB, o tuftest.RepoOptions) *tuftest.Repo {
	t.Helper()
	r := tuftest.NewRepo(t, o)
	r.AddTarget("hello.txt", []byte("hello"))
	r.AddTarget("dir/large", bytes.Repeat([]byte("x"), metadata.MaxKeptTarget+1))
	r.Delegate("targets", "team a", []string{"team/*"}, false)
	r.AddTargetTo("team a", "team/t", []byte("t"))
	r.AddTargetTo("team a", "elsewhere/t", []byte("nobody can ask for this"))
	r.AddEntry("targets", "images/shop/api:v1", 3, strings.Repeat("ab", 32), nil)
	r.Publish()
	r.RotateKey("root")
	r.Publish()
	return r
}

// A repository from elsewhere is published as it is: clients that have its first root go on, its bytes stay, and what
// comes next is signed by the same keys.
func TestAdoptsFromElsewhere(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, o := range map[string]tuftest.RepoOptions{
		"plain":   {},
		"bare":    {BareMeta: true},
		"sha512":  {SHA512: true},
		"ecdsa":   {KeyType: tuftest.ECDSAP256},
		"2 of 3":  {Keys: 3, Threshold: 2},
		"expires": {Life: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := classic(t, o)
			a, _, err := adopt(t, dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{}), "", adoptOptions(t, r, "targets"))
			if err != nil {
				t.Fatal(err)
			}
			if st, err := a.ws.Status(); err != nil || len(st.Drift) > 0 || len(st.Added) > 0 || st.Published != nil {
				t.Fatalf("status %+v, %v", st, err)
			}
			g := registry(t)
			first, err := a.try(t.Context(), g, publish.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !first.FirstPublish || first.Unchanged || len(first.Plan.Roles) > 0 || first.HistoryTag != "tuf.v3" {
				t.Errorf("%+v", first)
			}
			want := r.Files()
			for title := range want {
				if strings.HasPrefix(title, "targets/elsewhere/") {
					delete(want, title)
				}
			}
			wantFiles(t, remote(t, g, repository), channel, want)
			wantTarget(t, see(t, r.RootBytes(), remote(t, g, repository)), "team/t", "t")
			if again := a.publish(g); !again.Unchanged {
				t.Errorf("a second publish: %+v", again)
			}
		})
	}
}

// What is due is signed by the keys that were given, and nothing else.
func TestAdoptedIsEdited(t *testing.T) {
	t.Parallel()
	r := classic(t, tuftest.RepoOptions{SHA512: true, BareMeta: true})
	source := directory(t, r.Files())
	a, found, err := adopt(t, dirView(t, r.RootBytes(), source, trust.Options{}), "", adoptOptions(t, r, "targets", "snapshot", "timestamp"))
	if err != nil {
		t.Fatal(err)
	}
	if errs := metadata.LintErrors(found.Findings); len(errs) == 0 {
		t.Error("no findings on hashes that others choke on")
	}
	if err := os.RemoveAll(source); err != nil { // the workspace has all that the first publish needs
		t.Fatal(err)
	}
	g := registry(t)
	a.publish(g)
	client, err := trust.New(r.RootBytes(), trust.Options{Source: trust.RepositorySource(remote(t, g, repository), channel), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}

	// The entries of others, which have no sha256, are what the next targets must be without.
	a.stage("", "new.txt", "new")
	_, err = a.ws.Sign(t.Context(), []string{"targets"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, metadata.ErrLint)
	for _, name := range []string{"hello.txt", "dir/large"} {
		if _, err := a.ws.RemoveTarget("", name); err != nil {
			t.Fatal(err)
		}
	}
	a.stage("", "hello.txt", "hello")
	if _, err = a.ws.Sign(t.Context(), []string{"targets"}, nil); err != nil {
		t.Fatal(err)
	}
	a.publish(g)
	view, err := client.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantTarget(t, view, "new.txt", "new")
	wantTarget(t, view, "team/t", "t")
}

// Without consistent snapshots nothing can be in a bundle: the next root, which has them, is staged.
func TestAdoptsWithoutConsistentSnapshots(t *testing.T) {
	t.Parallel()
	r := classic(t, tuftest.RepoOptions{NonConsistent: true})
	a, _, err := adopt(t, dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{}), "", adoptOptions(t, r, "root", "timestamp"))
	if err != nil {
		t.Fatal(err)
	}
	g := registry(t)
	_, err = a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, metadata.ErrNeedSignatures)
	if err := a.ws.SetRole([]string{"root"}, metadata.RoleEdit{NoSpareKey: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ws.Sign(t.Context(), []string{"root"}, nil); err != nil {
		t.Fatal(err)
	}
	if result := a.publish(g); result.Versions.Root != 3 {
		t.Errorf("%+v", result.Versions)
	}
	view := see(t, r.RootBytes(), remote(t, g, repository))
	wantTarget(t, view, "hello.txt", "hello")
	wantTarget(t, view, "team/t", "t")
}

// A workspace that was lost is what it was, and has nothing to publish.
func TestRebuildsAWorkspace(t *testing.T) {
	t.Parallel()
	g, old := published(t)
	view := see(t, old.root1(), remote(t, g, repository))
	o := metadata.InitOptions{Repository: "registry.example.com/" + repository, Profile: "dev", Now: clock, Env: env, Keys: map[string][]string{"root": {"env:TEST_KEY"}}}
	a, found, err := adopt(t, view, channel, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Findings) > 1 { // one key for all
		t.Errorf("findings %v", found.Findings)
	}
	before, after := old.files(), a.files()
	for _, name := range []string{".tufoci/base/1.root.json", ".tufoci/base/1.targets.json", ".tufoci/base/1.team.json", ".tufoci/base/base.json"} {
		if before[name] == "" || name != ".tufoci/base/base.json" && before[name] != after[name] {
			t.Errorf("%s differs", name)
		}
	}
	if st, err := a.ws.Status(); err != nil || len(st.Drift) > 0 || st.Published == nil || st.Published.Digest != bundle(t, remote(t, g, repository), channel).Descriptor.Digest.String() {
		t.Errorf("status %+v, %v", st, err)
	}
	requests := len(writes(g))
	if result := a.publish(g); !result.Unchanged || len(writes(g)) > requests {
		t.Errorf("a publish: %+v", result)
	}
	a.stage("", "later.txt", "later")
	a.publish(g)
	if got := content(t, g, a, "later.txt"); got != "later" {
		t.Errorf("later.txt is %q", got)
	}
	// The other workspace takes it over.
	if result := old.publish(g); !result.Unchanged {
		t.Errorf("the old workspace: %+v", result)
	}
}

// What cannot be a workspace, or is not vouched for, leaves nothing behind.
func TestRefusesToAdopt(t *testing.T) {
	t.Parallel()
	r := classic(t, tuftest.RepoOptions{})
	g := registry(t)
	partial := tuftest.Pack(t, r.Files(), tuftest.PackOptions{Annotations: map[string]string{ociremote.AnnotationPartial: "true"}})
	store(t, remote(t, g, repository), channel, partial)
	o := adoptOptions(t, r, "targets")
	if _, _, err := adopt(t, see(t, r.RootBytes(), remote(t, g, repository)), "", o); !errors.Is(err, publish.ErrPartial) {
		t.Errorf("partial: %v", err)
	}
	older := tuftest.NewRepo(t, tuftest.RepoOptions{})
	g.PushLegacy("acme/legacy", "latest", "", older)
	legacy := ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: "acme/legacy", Tag: "latest"}
	view, err := refresh(t.Context(), older.RootBytes(), trust.Options{Source: trust.RepositorySource(open(t, legacy), "latest")})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := adopt(t, view, "latest", o); !errors.Is(err, publish.ErrAdopt) {
		t.Errorf("in the place of the older layout: %v", err)
	}
	files := r.Files()
	delete(files, "metadata/1.root.json")
	if _, _, err := adopt(t, dirView(t, r.Roots()[1], directory(t, files), trust.Options{}), "", o); !errors.Is(err, publish.ErrAdopt) || !strings.Contains(err.Error(), "root v1") {
		t.Errorf("without its first root: %v", err)
	}
	files = r.Files()
	files["metadata/1.team%20a.json"] = []byte("{}")
	if _, _, err := adopt(t, dirView(t, r.RootBytes(), directory(t, files), trust.Options{}), "", o); !errors.Is(err, publish.ErrAdopt) {
		t.Errorf("a role that does not verify: %v", err)
	}
}

// Roots below the pin are carried for clients that start there, and nothing is verified from them.
func TestAdoptsFromALaterRoot(t *testing.T) {
	t.Parallel()
	r := classic(t, tuftest.RepoOptions{})
	files := r.Files()
	files["metadata/1.root.json"] = bytes.Replace(files["metadata/1.root.json"], []byte(`"version"`), []byte(`"x-other":1,"version"`), 1)
	a, _, err := adopt(t, dirView(t, r.Roots()[1], directory(t, files), trust.Options{}), "", adoptOptions(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if pin := a.root1(); !bytes.Equal(pin, r.Roots()[1]) {
		t.Error("the workspace is verified from another root than the one that was given")
	}
	g := registry(t)
	result := a.publish(g)
	if result.RootSHA256 != strings.TrimPrefix(tuftest.Digest(r.Roots()[1]), "sha256:") || !strings.HasSuffix(a.ws.Root1File(), "2.root.json") {
		t.Errorf("clients are given %s, %s", result.RootSHA256, a.ws.Root1File())
	}
	if again := a.publish(g); !again.Unchanged {
		t.Errorf("a second publish: %+v", again)
	}
	wantTarget(t, see(t, r.Roots()[1], remote(t, g, repository)), "hello.txt", "hello")
}

// Sigstore's repository as it is served becomes a workspace with the names of its people.
func TestAdoptsSigstore(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	dir, files, root, at := sigstore(t)
	o := metadata.InitOptions{Repository: "registry.example.com/" + repository, Now: func() time.Time { return at }}
	view := dirView(t, root, dir, trust.Options{Now: o.Now})
	a, found, err := adopt(t, view, "", o)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := a.ws.Status(); err != nil || len(st.Drift) > 0 || len(found.Unusable) > 0 {
		t.Fatalf("status %+v, %v; %v", st, err, found)
	}
	cfg := a.ws.Config()
	if cfg.Keys["joshuagl"].Owner != "@joshuagl" || len(cfg.Keys) != 7 {
		t.Errorf("keys %v", cfg.Keys)
	}
	for role, want := range map[string][2]time.Duration{
		"registry.npmjs.org": {182 * 24 * time.Hour, 31 * 24 * time.Hour},
		"snapshot":           {3650 * 24 * time.Hour, 365 * 24 * time.Hour},
		"timestamp":          {7 * 24 * time.Hour, 6 * 24 * time.Hour},
	} {
		if expires, renew := cfg.Periods(role); expires != want[0] || renew != want[1] {
			t.Errorf("%s lives for %s, renewed within %s", role, expires, renew)
		}
	}
	a.now = at
	g := registry(t)
	a.publish(g)
	wantFiles(t, remote(t, g, repository), channel, files)
	// Four roots before the pin, of which no client of today can read the first.
	names, err := fs.Glob(os.DirFS(a.ws.Dir()), ".tufoci/base/*.root.json")
	if err != nil || len(names) != 15 || !slices.Contains(names, ".tufoci/base/1.root.json") {
		t.Errorf("roots %v, %v", names, err)
	}
}
