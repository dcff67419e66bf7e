package notationdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/crl"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

const listURL = "http://crl.example/ca.crl"

func TestSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := []material.File{{Name: material.PolicyName, Data: policy("shop=ca:ca=acme.example/shop/api", "rest=ca:ca tsa:time=*")}, certificate("ca/ca", 0), certificate("ca/ca", 1), certificate("tsa/time", 2)}
	in := inputOf("acme", 1, append(files, revocationList("ca", 0, notationsign.CRLOptions{Number: 3}, listURL)...)...)
	in.Maps = []trust.Map{must(trust.ParseMap("reg.local:5000=acme.example"))}
	in.Repositories = []string{"acme.example/shop/api", "acme.example/b", "other.example/c"}
	r := w.sync(in)
	if r.Unchanged || len(r.Changes) != 5 || !strings.Contains(r.Diff, `+      "name": "tufoci/acme/shop",`) || len(r.Drift) != 0 {
		t.Errorf("report %+v", r)
	}
	for _, repository := range []string{"acme.example/shop/api", "reg.local:5000/shop/api"} {
		w.expect(repository, 0, 1)
	}
	for _, repository := range []string{"acme.example/b", "reg.local:5000/b"} {
		w.expect(repository, 0, 1, 2)
	}
	w.expect("other.example/c")
	w.expect("acme.example/unnamed")
	for _, name := range w.stores() {
		if !regexp.MustCompile(`^tufoci\.acme\.(ca|time)\.[0-9a-f]{12}$`).MatchString(name) {
			t.Errorf("store %q", name)
		}
	}
	cache := must(crl.NewFileCache(filepath.Join(w.o.Cache, "crl")))
	if bundle, err := cache.Get(t.Context(), listURL); err != nil || bundle.BaseCRL.Number.Int64() != 3 {
		t.Errorf("CRL cache: %v", err)
	}
	for path, what := range w.tree() {
		if !strings.HasPrefix(what, "drwx------ ") && !strings.HasPrefix(what, "-rw------- ") {
			t.Errorf("%s has mode %s", path, what[:10])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.o.Config, stateDir, stagingPrefix+"*")); len(left) != 0 {
		t.Errorf("left in staging: %q", left)
	}
}

// A sync without news touches nothing, not even the time of a file.
func TestUnchangedSyncWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := input("acme", 1, 0)
	in.Set.CRLs = inputOf("acme", 1, revocationList("ca", 0, notationsign.CRLOptions{Number: 3}, listURL)...).Set.CRLs
	w.sync(in)
	before := w.tree()
	w.pass(time.Minute)
	if r := w.sync(in); !r.Unchanged || len(r.Changes) != 0 || r.Diff != "" {
		t.Errorf("report %+v", r)
	}
	w.same("an unchanged sync", before)
	in.Status.Timestamp.Version++
	if r := w.sync(in); !r.Unchanged {
		t.Errorf("report %+v", r)
	}
	if last, err := Last("acme", w.o); err != nil || last.Timestamp.Version != 2 {
		t.Errorf("last sync: %+v, %v", last, err)
	}
}

func TestDryRunSaysTheSameAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dry := *w
	dry.o.DryRun = true
	for _, in := range []Input{input("acme", 1, 0), input("acme", 2, 0, 1), input("acme", 3, 1)} {
		before := w.tree()
		planned := dry.sync(in)
		w.same("a dry run", before)
		done := w.sync(in)
		if !slices.Equal(planned.Changes, done.Changes) || planned.Diff != done.Diff || planned.Due != done.Due || done.Unchanged {
			t.Errorf("planned %+v, done %+v", planned, done)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sync(input("acme", 1, 0))
	old := w.stores()
	w.sync(input("acme", 2, 0, 1))
	w.expect("acme.example/shop/api", 0, 1)
	r := w.sync(input("acme", 3, 1))
	w.expect("acme.example/shop/api", 1)
	if len(w.stores()) != 3 || !r.Due.Equal(w.now().Add(time.Hour)) {
		t.Errorf("%q, due %s: readers of an older policy have no stores", w.stores(), r.Due)
	}
	// Back to the first: the store is there still, and named again.
	w.pass(30 * time.Minute)
	w.sync(input("acme", 4, 0))
	w.pass(45 * time.Minute)
	if r := w.sync(input("acme", 4, 0)); r.Unchanged || !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Action == "remove" }) {
		t.Errorf("nothing is removed after the time of grace: %+v", r)
	}
	w.expect("acme.example/shop/api", 0)
	w.pass(time.Hour)
	w.sync(input("acme", 4, 0))
	if got := w.stores(); !slices.Equal(got, old) {
		t.Errorf("stores %q, want %q", got, old)
	}
}

// Two trusts in one directory: neither touches what is the other's.
func TestMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sync(input("acme", 1, 0))
	if _, err := Sync(t.Context(), input("beta", 1, 1), w.o); !errors.Is(err, ErrOtherTrust) || !strings.Contains(err.Error(), "acme") {
		t.Errorf("without merge: %v", err)
	}
	store := filepath.Join(w.o.Config, "truststore", "x509", "ca", w.stores()[0])
	before := must(os.Stat(store)).ModTime()
	merge := w.with(PolicyMerge)
	merge.sync(input("beta", 1, 1))
	merge.sync(input("beta", 2, 2))
	w.pass(2 * time.Hour)
	merge.sync(input("beta", 2, 2))
	w.expect("acme.example/shop/api", 0)
	w.expect("beta.example/shop/api", 2)
	if !must(os.Stat(store)).ModTime().Equal(before) || len(w.stores()) != 2 {
		t.Errorf("the store of the other trust changed, stores %q", w.stores())
	}
	if _, err := Sync(t.Context(), input("acme", 2, 0), w.o); !errors.Is(err, ErrOtherTrust) {
		t.Errorf("the first trust, without merge: %v", err)
	}

	clash := input("gamma", 1, 3)
	clash.Scopes = append(clash.Scopes, must(trust.ParseScope("acme.example/**")))
	clash.Repositories = append(clash.Repositories, "acme.example/shop/api")
	before2 := w.tree()
	_, err := Sync(t.Context(), clash, merge.o)
	if e, ok := errors.AsType[*ScopeClashError](err); !ok || !errors.Is(err, ErrScopeClash) || e.Trust != "gamma" || e.Other != "acme" || e.Repository != "acme.example/shop/api" {
		t.Errorf("a clash: %v", err)
	}
	w.same("a clash", before2)

	// Replace is for one trust alone; the others' stores go, later.
	w.with(PolicyReplace).sync(input("beta", 3, 2))
	w.expect("acme.example/shop/api")
	w.pass(2 * time.Hour)
	w.sync(input("beta", 3, 2))
	w.expect("beta.example/shop/api", 2)
	if len(w.stores()) != 1 {
		t.Errorf("stores %q", w.stores())
	}
}

// under is an input under another root.
func under(in Input, root int64) Input {
	in.Status.Root.Version = root
	return in
}

// A publisher who recovers from versions that were driven up counts from a lower number
// again, under a new root.
func TestLowerVersionUnderALaterRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sync(under(input("acme", 1<<40, 0), 1))
	w.sync(under(input("acme", 2, 1), 2))
	if _, err := Sync(t.Context(), under(input("acme", 1<<40, 0), 1), w.o); !errors.Is(err, trust.ErrRollback) {
		t.Errorf("the older root: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	outside := inputOf("acme", 2, material.File{Name: material.PolicyName, Data: policy("a=ca:ca=acme.example/a", "b=ca:ca=evil.example/b")}, certificate("ca/ca", 0))
	noPolicy := inputOf("acme", 2, certificate("ca/ca", 0))
	noScope := input("acme", 2, 0)
	noScope.Scopes = nil
	next := input("acme", 2, 1)
	changed := func(w *world) { w.write(policyFile, string(policy("mine=ca:mine=mine.example/a"))) }
	for name, c := range map[string]struct {
		mode    PolicyMode
		in      Input
		prepare func(w *world)
		want    error
	}{
		"foreign policy":                    {PolicyAuto, next, func(w *world) { os.RemoveAll(w.o.Config); changed(w) }, ErrForeign},
		"foreign policy, merge":             {PolicyMerge, next, func(w *world) { os.RemoveAll(w.o.Config); changed(w) }, ErrForeign},
		"policy changed since":              {PolicyAuto, next, changed, ErrForeign},
		"foreign policy of v2":              {PolicyAuto, next, func(w *world) { w.write(policyFileOCI, "{}") }, ErrForeign},
		"policy is a link":                  {PolicyAuto, next, func(w *world) { link(w, policyFile) }, ErrForeign},
		"statement outside":                 {PolicyAuto, outside, nil, verify.ErrPolicyScope},
		"statement outside, replace":        {PolicyReplace, outside, nil, verify.ErrPolicyScope},
		"no policy":                         {PolicyAuto, noPolicy, nil, verify.ErrNoPolicy},
		"no scope":                          {PolicyAuto, noScope, nil, trust.ErrNoScope},
		"older view":                        {PolicyAuto, input("acme", 0, 1), nil, trust.ErrRollback},
		"older view, replace":               {PolicyReplace, input("acme", 0, 1), nil, trust.ErrRollback},
		"older root, higher timestamp":      {PolicyAuto, under(input("acme", 2, 1), 0), nil, trust.ErrRollback},
		"damaged record":                    {PolicyAuto, next, func(w *world) { w.write(".tufoci/state.json", "{") }, ErrState},
		"record of a later version":         {PolicyReplace, next, func(w *world) { w.write(".tufoci/state.json", `{"version":2}`) }, ErrState},
		"plain stores beside a policy":      {PolicyNone, next, nil, ErrForeign},
		"plain store of a closed statement": {PolicyNone, inputOf("beta", 1, certificate("ca/tufoci.acme.closed.absent", 1)), nil, ErrForeign},
		"plain store in other letters":      {PolicyNone, inputOf("beta", 1, certificate("tsa/TUFOCI.acme.x", 1)), nil, ErrForeign},
		"foreign plain store": {PolicyNone, next, func(w *world) {
			os.RemoveAll(w.o.Config)
			w.write("truststore/x509/ca/ca/mine.pem", string(authorities[0].PEM()))
		}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sync(input("acme", 1, 0))
			if c.prepare != nil {
				c.prepare(w)
			}
			before := w.tree()
			if _, err := Sync(t.Context(), c.in, w.with(c.mode).o); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			w.same("a refused sync", before)
		})
	}
}

func link(w *world, file string) {
	name := filepath.Join(w.o.Config, file)
	if err := errors.Join(os.Rename(name, name+".there"), os.Symlink(name+".there", name)); err != nil {
		w.t.Fatal(err)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *world){
		"policy":         func(w *world) { w.write(policyFile, "{}"); w.write(policyFileOCI, "{}") },
		"link":           func(w *world) { w.sync(input("acme", 1, 0)); link(w, policyFileOCI) },
		"damaged record": func(w *world) { w.sync(input("acme", 1, 1)); w.write(".tufoci/state.json", "{") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			w.with(PolicyReplace).sync(input("acme", 1, 0))
			w.expect("acme.example/shop/api", 0)
			w.pass(2 * time.Hour)
			w.sync(input("acme", 1, 0))
			if len(w.stores()) != 1 {
				t.Errorf("stores %q", w.stores())
			}
		})
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world, store string)
		drift  string
	}{
		"policy removed": {func(w *world, _ string) { os.Remove(filepath.Join(w.o.Config, policyFile)) }, policyFile},
		"store removed":  {func(_ *world, store string) { os.RemoveAll(store) }, "truststore/x509/ca/"},
		"anchor added": {func(_ *world, store string) {
			os.WriteFile(filepath.Join(store, "x.pem"), authorities[5].PEM(), 0o600)
		}, "truststore/x509/ca/"},
		"anchor replaced": {func(_ *world, store string) {
			entries := must(os.ReadDir(store))
			os.WriteFile(filepath.Join(store, entries[0].Name()), authorities[5].PEM(), 0o600)
		}, "truststore/x509/ca/"},
		"directory in a store": {func(_ *world, store string) { os.Mkdir(filepath.Join(store, "x"), 0o700) }, "truststore/x509/ca/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := input("acme", 1, 0)
			w.sync(in)
			c.change(w, filepath.Join(w.o.Config, "truststore", "x509", "ca", w.stores()[0]))
			r := w.sync(in)
			if r.Unchanged || len(r.Drift) != 1 || !strings.HasPrefix(r.Drift[0], c.drift) {
				t.Errorf("report %+v", r)
			}
			w.expect("acme.example/shop/api", 0)
			w.pass(2 * time.Hour)
			if r := w.sync(in); len(r.Drift) != 0 {
				t.Errorf("drift once more: %+v", r)
			}
			if len(w.stores()) != 1 {
				t.Errorf("stores %q", w.stores())
			}
			w.expect("acme.example/shop/api", 0)
		})
	}
}

// Where somebody else's policy names the stores they have the names of the trust.
func TestPlainStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t).with(PolicyNone)
	own := string(policy("mine=ca:ca=acme.example/shop/api"))
	w.write(policyFile, own)
	w.write("truststore/x509/ca/mine/mine.pem", string(authorities[4].PEM()))
	w.sync(input("acme", 1, 0))
	w.expect("acme.example/shop/api", 0)
	before := w.tree()
	if r := w.sync(input("acme", 1, 0)); !r.Unchanged {
		t.Errorf("report %+v", r)
	}
	w.same("an unchanged sync", before)
	w.sync(input("acme", 2, 0, 1))
	w.expect("acme.example/shop/api", 0, 1)
	w.sync(input("acme", 3, 1))
	w.expect("acme.example/shop/api", 1)
	if _, err := Sync(t.Context(), input("beta", 1, 2), w.o); !errors.Is(err, ErrForeign) {
		t.Errorf("the store of another trust: %v", err)
	}
	w.write("truststore/x509/ca/ca/stranger.pem", string(authorities[5].PEM()))
	if r := w.sync(input("acme", 3, 1)); len(r.Drift) != 1 || len(r.Warnings) != 1 {
		t.Errorf("a stranger's anchor: %+v", r)
	}
	w.expect("acme.example/shop/api", 1, 5)
	// What is withdrawn goes at once; what is not ours stays.
	none := inputOf("acme", 4, certificate("ca/other", 3))
	w.sync(none)
	w.expect("acme.example/shop/api", 5)
	if got := w.stores(); !slices.Equal(got, []string{"ca", "mine", "other"}) {
		t.Errorf("stores %q", got)
	}
	if r, err := Close(t.Context(), "acme", "stale", w.o); err != nil || len(r.Changes) != 1 {
		t.Errorf("closing: %+v, %v", r, err)
	}
	if got := w.stores(); !slices.Equal(got, []string{"ca", "mine"}) {
		t.Errorf("stores after closing %q", got)
	}
	if string(must(os.ReadFile(filepath.Join(w.o.Config, policyFile)))) != own {
		t.Error("somebody else's policy was changed")
	}
	w.sync(none)
	if got := w.stores(); !slices.Equal(got, []string{"ca", "mine", "other"}) {
		t.Errorf("stores after the next sync %q", got)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t).with(PolicyMerge)
	acme, beta := input("acme", 1, 0), input("beta", 1, 1)
	acme.Set.CRLs = inputOf("acme", 1, revocationList("ca", 0, notationsign.CRLOptions{Number: 3}, listURL)...).Set.CRLs
	w.sync(acme)
	w.sync(beta)
	if _, err := Close(t.Context(), "acme", "the timestamp expired", w.o); err != nil {
		t.Fatal(err)
	}
	w.expect("acme.example/shop/api")
	w.expect("beta.example/shop/api", 1)
	doc := must(readDocument(w.o.Config, 1))
	if st := must(doc.GetApplicableTrustPolicy("acme.example/shop/api@sha256:" + strings.Repeat("a", 64))); st.Name != "tufoci/acme/closed" || st.SignatureVerification.VerificationLevel != "strict" {
		t.Errorf("statement %+v", st)
	}
	if last, err := Last("acme", w.o); err != nil || last.Closed != "the timestamp expired" {
		t.Errorf("last %+v, %v", last, err)
	}
	before := w.tree()
	if r, err := Close(t.Context(), "acme", "expired still", w.o); err != nil || !r.Unchanged {
		t.Errorf("closed again: %+v, %v", r, err)
	}
	w.same("closing again", before)
	w.pass(2 * time.Hour)
	if _, err := Close(t.Context(), "acme", "expired still", w.o); err != nil {
		t.Fatal(err)
	}
	if len(w.stores()) != 1 || len(must(os.ReadDir(filepath.Join(w.o.Cache, "crl")))) != 1 {
		t.Errorf("stores %q", w.stores())
	}
	w.sync(acme)
	w.expect("acme.example/shop/api", 0)
	if last, err := Last("acme", w.o); err != nil || last.Closed != "" {
		t.Errorf("last %+v, %v", last, err)
	}
}

// Closing where nothing was synced is closed too, and valid; a foreign policy is
// left alone.
func TestCloseFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := Close(t.Context(), "acme", "no state", w.o); err != nil {
		t.Fatal(err)
	}
	must(readDocument(w.o.Config, 1))
	must(readDocument(w.o.Config, 2))
	w.expect("acme.example/shop/api")
	w = newWorld(t)
	w.write(policyFile, "{}")
	before := w.tree()
	if _, err := Close(t.Context(), "acme", "no state", w.o); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	w.same("a refused closing", before)
}

func TestStatements(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy       []byte
		repositories []string
		maps         []string
		want         []string // NAME=SCOPES
		warnings     int
	}{
		"star": {policy("a=ca:ca=*"), []string{"acme.example/b", "acme.example/a", "acme.example/a", "evil.example/x"}, nil, []string{"a=acme.example/a acme.example/b"}, 0},
		"exact beats star": {
			policy("a=ca:ca=*", "b=ca:ca=acme.example/b"),
			[]string{"acme.example/a", "acme.example/b"},
			nil,
			[]string{"a=acme.example/a", "b=acme.example/b"},
			0,
		},
		"mirrors": {
			policy("b=ca:ca=acme.example/b"), nil,
			[]string{"reg.local/acme=acme.example", "m.example/b=acme.example/b"},
			[]string{"b=acme.example/b m.example/b reg.local/acme/b"},
			0,
		},
		"mirror that notation has no name for": {policy("b=ca:ca=acme.example/b"), nil, []string{"[::1]:5000=acme.example"}, []string{"b=acme.example/b"}, 1},
		"star without repositories":            {policy("a=ca:ca=*", "b=ca:ca=acme.example/b"), nil, nil, []string{"b=acme.example/b"}, 1},
		"nothing at all":                       {policy("a=ca:ca=*"), nil, nil, []string{"closed=" + nowhere + sum([]byte("acme"))[:12]}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := inputOf("acme", 1, material.File{Name: material.PolicyName, Data: c.policy}, certificate("ca/ca", 0))
			in.Repositories = c.repositories
			for _, m := range c.maps {
				in.Maps = append(in.Maps, must(trust.ParseMap(m)))
			}
			r := w.sync(in)
			var got []string
			for _, st := range must(readDocument(w.o.Config, 1)).TrustPolicies {
				got = append(got, strings.TrimPrefix(st.Name, "tufoci/acme/")+"="+strings.Join(st.RegistryScopes, " "))
			}
			if !slices.Equal(got, c.want) || len(r.Warnings) != c.warnings {
				t.Errorf("%q, want %q, warnings %q", got, c.want, r.Warnings)
			}
		})
	}
}

// Revoked anchors are in no store. A store that they leave empty makes its
// statement refuse, unless another store can vouch.
func TestRevokedAnchors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stores string
		files  []material.File
		want   []int
	}{
		"one of two":                {"ca:ca", []material.File{certificate("ca/ca", 0), certificate("ca/ca", 1)}, []int{1}},
		"all":                       {"ca:ca", []material.File{certificate("ca/ca", 0)}, nil},
		"all of one store of two":   {"ca:ca ca:b", []material.File{certificate("ca/ca", 0), certificate("ca/b", 1)}, []int{1}},
		"all of the TSA store":      {"ca:b tsa:time", []material.File{certificate("tsa/time", 0), certificate("ca/b", 1)}, nil},
		"all but those of the TSA":  {"ca:ca tsa:time", []material.File{certificate("ca/ca", 0), certificate("tsa/time", 1)}, nil},
		"a store that is not there": {"ca:missing", []material.File{certificate("ca/ca", 1)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := inputOf("acme", 1, append(c.files, material.File{Name: material.PolicyName, Data: policy("a=" + c.stores + "=*")})...)
			in.Set.Revocations.Certificates = []material.RevokedCertificate{{SHA256: material.SHA256(authorities[0].Certificate)}}
			r := w.sync(in)
			w.expect("acme.example/shop/api", c.want...)
			if len(r.Warnings) == 0 {
				t.Error("no warning")
			}
		})
	}
}

// What stock notation does not take over is said.
func TestWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended := notationsign.CRLOptions{Number: 1, ThisUpdate: w.now().Add(-48 * time.Hour), NextUpdate: w.now().Add(-time.Hour)}
	files := append(revocationList("ended", 0, ended, listURL), revocationList("nowhere", 0, notationsign.CRLOptions{Number: 2})...)
	in := inputOf("acme", 1, append(files, material.File{Name: material.PolicyName, Data: policy("a=ca:ca=*")}, certificate("ca/ca", 0))...)
	in.Set.Policy.TrustPolicies[0].SignatureVerification.VerificationLevel = trustpolicy.LevelAudit.Name
	in.MinLevel = trustpolicy.LevelAudit.Name
	in.Set.Revocations.Images = []material.RevokedImage{{Digest: "sha256:" + strings.Repeat("a", 64)}}
	in.Set.Revocations.Certificates = []material.RevokedCertificate{{SHA256: strings.Repeat("b", 64)}}
	text := strings.Join(w.sync(in).Warnings, "\n")
	for _, want := range []string{"level audit", "CRL ended ended", "CRL nowhere has no URL", "1 image revoked", "1 certificate revoked"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != 4 {
		t.Errorf("warnings:\n%s", text)
	}
}

// A statement that is weaker than the trust asks for is not handed over, and no
// other one takes its place: under it nothing verifies.
func TestWeakStatementsAreLeftOut(t *testing.T) {
	t.Parallel()
	strict := trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name}
	unrevoked := trustpolicy.SignatureVerification{
		VerificationLevel: trustpolicy.LevelStrict.Name,
		Override:          map[trustpolicy.ValidationType]trustpolicy.ValidationAction{trustpolicy.TypeRevocation: trustpolicy.ActionSkip},
	}
	level := func(name string) trustpolicy.SignatureVerification {
		return trustpolicy.SignatureVerification{VerificationLevel: name}
	}
	for name, c := range map[string]struct {
		least     string
		statement trustpolicy.SignatureVerification
		kept      bool
	}{
		"strict":                         {"", strict, true},
		"permissive":                     {"", level("permissive"), false},
		"permissive where that will do":  {"permissive", level("permissive"), true},
		"audit where permissive will do": {"permissive", level("audit"), false},
		"strict without revocation":      {"strict", unrevoked, false},
		"skip":                           {"audit", level("skip"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := inputOf("acme", 1, certificate("ca/ca", 0), material.File{
				Name: material.PolicyName, Data: policy("one=ca:ca=acme.example/shop/api", "rest=ca:ca=*"),
			})
			in.MinLevel, in.Repositories = c.least, append(in.Repositories, "acme.example/shop/web")
			one := &in.Set.Policy.TrustPolicies[0]
			one.SignatureVerification = c.statement
			if c.statement.VerificationLevel == "skip" {
				one.TrustStores, one.TrustedIdentities = nil, nil
			}
			w.sync(in)
			written, err := os.ReadFile(filepath.Join(w.o.Config, policyFile))
			if err != nil {
				t.Fatal(err)
			}
			if kept := strings.Contains(string(written), "acme.example/shop/api"); kept != c.kept {
				t.Errorf("kept: %t, want %t: %s", kept, c.kept, written)
			}
			if !strings.Contains(string(written), "acme.example/shop/web") {
				t.Errorf("the other statement is gone: %s", written)
			}
		})
	}
}

// Whoever signs entries for very many repositories keeps nobody from a withdrawal:
// the next sync reads what this one writes.
func TestVeryManyRepositories(t *testing.T) {
	t.Parallel()
	const most = 256 << 10 // what takes the real bound takes its time
	in := input("acme", 1, 0)
	for i := range 1100 {
		in.Repositories = append(in.Repositories, fmt.Sprintf("acme.example/%s/%d", strings.Repeat("x", 230), i))
	}
	in.Repositories = append(in.Repositories, "acme.example/a")
	statements, warnings, err := in.statements(map[storeID]string{{material.StoreCA, "ca"}: "x"}, most)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "too many for a policy") {
		t.Fatalf("%v, %.1000q", err, warnings)
	}
	// A policy of the real bound is read back, and so are those of eight trusts.
	data := must(marshalPolicy(&trustpolicy.Document{Version: policyVersion, TrustPolicies: statements}))
	if n := len(statements[0].RegistryScopes); statements[0].RegistryScopes[0] != "acme.example/a" || n < 900 || len(data)*(maxScopes/most) > maxPolicyFile/8 {
		t.Errorf("%d scopes, %d bytes", n, len(data))
	}
}

// What a more particular trust decides about is not handed over, under any name.
func TestOthersDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := inputOf("acme", 1, certificate("ca/ca", 0), material.File{
		Name: material.PolicyName, Data: policy("one=ca:ca=acme.example/shop/api", "rest=ca:ca=*"),
	})
	in.Repositories = []string{"acme.example/shop/web", "acme.example/shop/db"}
	in.Maps = []trust.Map{must(trust.ParseMap("mirror.example=acme.example"))}
	others := map[string]bool{"acme.example/shop/api": true, "mirror.example/shop/web": true}
	in.Decides = func(name string) bool { return !others[name] }
	r := w.sync(in)
	written, err := os.ReadFile(filepath.Join(w.o.Config, policyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme.example/shop/api", "mirror.example/shop/api", "acme.example/shop/web", "mirror.example/shop/web", "acme.example/shop/db"} {
		if has := strings.Contains(string(written), strconv.Quote(name)); has == others[name] {
			t.Errorf("%s: %t in %s", name, has, written)
		}
	}
	if text := strings.Join(r.Warnings, "\n"); strings.Count(text, "decides about it") != 2 {
		t.Errorf("warnings:\n%s", text)
	}
}
