package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// What is let through, go-tuf takes: it ends in none of its functions, whatever they are asked, and what it writes of it
// is let through again and says the same.
func FuzzPrecheck(f *testing.F) {
	for role, data := range documents(f) {
		f.Add(role, data)
	}
	f.Fuzz(func(t *testing.T, role string, data []byte) {
		err := trust.Precheck(role, data)
		if (err == nil) != (trust.Precheck(role, data) == nil) || err != nil && !errors.Is(err, trust.ErrMalformed) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for _, kind := range []string{"root", "timestamp", "snapshot", "targets", "team"} {
			if kind != role && trust.Precheck(kind, data) == nil && (isTopLevel(kind) || isTopLevel(role)) && !(kind == "targets" || role == "targets") {
				t.Fatalf("a file of %q passes for one of %q", role, kind)
			}
		}
		switch role {
		case "root":
			tryRole[tuf.RootType](t, role, data)
		case "timestamp":
			tryRole[tuf.TimestampType](t, role, data)
		case "snapshot":
			tryRole[tuf.SnapshotType](t, role, data)
		default:
			tryRole[tuf.TargetsType](t, role, data)
		}
	})
}

func isTopLevel(role string) bool {
	return slices.Contains([]string{"root", "timestamp", "snapshot", "targets"}, role)
}

// tryRole asks go-tuf all that it can be asked about one file, with nothing around it that recovers.
func tryRole[T tuf.Roles](t *testing.T, role string, data []byte) {
	t.Helper()
	meta, err := (&tuf.Metadata[T]{}).FromBytes(data)
	if err != nil {
		return
	}
	for _, of := range []string{"root", "timestamp", "snapshot", "targets", "team", "images-0", ""} {
		_ = meta.VerifyDelegate(of, meta)
	}
	var expires time.Time
	switch signed := any(&meta.Signed).(type) {
	case *tuf.RootType:
		expires = signed.Expires
		_ = signed.IsExpired(tuftest.Epoch)
	case *tuf.TimestampType:
		expires = signed.Expires
		_ = signed.IsExpired(tuftest.Epoch)
		tryMeta(signed.Meta, data)
	case *tuf.SnapshotType:
		expires = signed.Expires
		_ = signed.IsExpired(tuftest.Epoch)
		tryMeta(signed.Meta, data)
	case *tuf.TargetsType:
		expires = signed.Expires
		_ = signed.IsExpired(tuftest.Epoch)
		tryTargets(t, meta, signed, data)
	}
	out, err := meta.ToBytes(false)
	if err != nil {
		if y := expires.Year(); y < 0 || y > 9999 {
			return // RFC 3339 can be read that cannot be written, by its zone
		}
		t.Fatalf("it is not written again: %v", err)
	}
	if err := trust.Precheck(role, out); err != nil {
		t.Fatalf("what go-tuf writes: %v\n%s\n%s", err, data, out)
	}
	again, err := (&tuf.Metadata[T]{}).FromBytes(out)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := payloadOf(meta.Signed), payloadOf(again.Signed); !bytes.Equal(a, b) {
		t.Fatalf("other bytes are verified:\n%s\n%s", a, b)
	}
}

// payloadOf is what signatures are verified over; nil if there is no such form.
func payloadOf(signed any) []byte {
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil
	}
	return payload
}

func tryMeta(meta map[string]*tuf.MetaFiles, data []byte) {
	for _, file := range meta {
		_ = file.VerifyLengthHashes(data)
	}
}

func tryTargets(t *testing.T, meta any, signed *tuf.TargetsType, data []byte) {
	t.Helper()
	for _, target := range signed.Targets {
		_ = target.VerifyLengthHashes(data)
	}
	d := signed.Delegations
	if d == nil {
		return
	}
	for _, name := range []string{"", "a", "team/file", "images/a:1", "a//b", "\x00", "é/[", strings.Repeat("a/", 50)} {
		for _, role := range d.GetRolesForTarget(name) {
			_ = meta.(*tuf.Metadata[tuf.TargetsType]).VerifyDelegate(role.Name, meta)
			if isTopLevel(role.Name) && d.SuccinctRoles == nil {
				t.Fatalf("%q leads to the role %q", name, role.Name)
			}
			if d.SuccinctRoles != nil && !d.SuccinctRoles.IsDelegatedRole(role.Name) {
				t.Fatalf("%q is in %q, which is none of the hash bins", name, role.Name)
			}
		}
	}
}

// A member given a second time is refused wherever it stands, since what is signed would not depend on the first.
func FuzzPrecheckTwice(f *testing.F) {
	for role, data := range documents(f) {
		f.Add(role, data, uint(0), "null")
		f.Add(role, data, uint(5), `{}`)
	}
	f.Fuzz(func(t *testing.T, role string, data []byte, which uint, value string) {
		if trust.Precheck(role, data) != nil || !json.Valid([]byte(value)) {
			return
		}
		at, name := memberOf(data, which)
		if at == 0 {
			return
		}
		twice := slices.Concat(data[:at], fmt.Appendf(nil, `%s:%s,`, name, value), data[at:])
		if !json.Valid(twice) {
			t.Fatalf("%s", twice)
		}
		if trust.Precheck(role, twice) == nil {
			t.Fatalf("%s is taken twice: %s", name, twice)
		}
	})
}

// memberOf finds the first member of one of the objects of a document, with some members, counted around: where it
// stands, and its name.
func memberOf(data []byte, which uint) (at int64, name []byte) {
	type place struct {
		at   int64
		name []byte
	}
	var places []place
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		if token != json.Delim('{') || !dec.More() {
			continue
		}
		at := dec.InputOffset()
		if _, err := dec.Token(); err != nil {
			break
		}
		places = append(places, place{at, bytes.TrimSpace(data[at:dec.InputOffset()])})
	}
	if len(places) == 0 {
		return 0, nil
	}
	p := places[which%uint(len(places))]
	return p.at, p.name
}

// What the holder of a role's keys signs is taken or refused, by go-tuf alone and by a client, and never more: no panic,
// the errors of this package, and nothing from the client that go-tuf refuses.
func FuzzSignedRole(f *testing.F) {
	roles := []string{"root", "timestamp", "snapshot", "targets", "team", "images"}
	docs := documents(f)
	for i, role := range roles {
		signed, err := json.Marshal(decode(f, docs[role]).(map[string]any)["signed"])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint(i), signed)
	}
	base := tuftest.NewRepo(f, tuftest.RepoOptions{})
	base.Delegate("targets", "team", []string{"team/*"}, true)
	base.DelegateBins("targets", "images", 2)
	base.AddEntry("team", "team/file", 7, hexHash, nil)
	base.Touch("root")
	base.Publish()
	f.Fuzz(func(t *testing.T, which uint, data []byte) {
		role := roles[which%uint(len(roles))]
		if trust.Precheck(role, fmt.Appendf(nil, `{"signatures":[],"signed":%s}`, data)) != nil {
			return
		}
		signed := decode(t, data).(map[string]any)
		if _, err := cjson.EncodeCanonical(signed); err != nil {
			return // nobody can sign it
		}
		repo := base.ForkFor(t)
		repo.Forge(role, func(old map[string]any) {
			keepAuthority(role, old, signed)
			clear(old)
			maps.Copy(old, signed)
		})
		if trust.Precheck(role, repo.Data(role)) != nil {
			return // grown by its signatures
		}
		byGoTUF := followed(repo)
		w := &world{Repo: repo, t: t, now: tuftest.Epoch.Add(time.Hour), at: &counted{WritableRepository: ociremote.NewMemory()}}
		w.pack.NoInline = true // there are names that no tar takes
		w.out()
		view, err := w.refresh(func(o *trust.Options) { o.StateDir, o.CacheDir = "", "" })
		if err == nil && byGoTUF != nil {
			t.Fatalf("%s is taken, and go-tuf refuses it: %v\n%s", role, byGoTUF, data)
		}
		if err == nil {
			_, err = view.Lookup(t.Context(), "team/file")
		}
		if _, ok := errors.AsType[*trust.VerificationError](err); err != nil && !ok && !errors.Is(err, trust.ErrTargetNotFound) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

// keepAuthority gives what is fuzzed the keys that sign, so that it is read: those of a root, or of all that targets or
// images delegate to.
func keepAuthority(role string, old, signed map[string]any) {
	if role == "root" {
		signed["keys"] = old["keys"]
		for name, rule := range old["roles"].(map[string]any) {
			signed["roles"].(map[string]any)[name].(map[string]any)["keyids"] = rule.(map[string]any)["keyids"]
		}
		return
	}
	was, _ := old["delegations"].(map[string]any)
	is, _ := signed["delegations"].(map[string]any)
	if was == nil || is == nil {
		return
	}
	is["keys"] = was["keys"]
	var ids any
	for _, rule := range rulesOf(was) {
		ids = rule["keyids"]
	}
	for _, rule := range rulesOf(is) {
		rule["keyids"] = ids
	}
}

// rulesOf lists what a role delegates to.
func rulesOf(delegations map[string]any) (rules []map[string]any) {
	if bins, ok := delegations["succinct_roles"].(map[string]any); ok {
		rules = append(rules, bins)
	}
	roles, _ := delegations["roles"].([]any)
	for _, rule := range roles {
		rules = append(rules, rule.(map[string]any))
	}
	return rules
}

// followed takes go-tuf through a repository by hand, up to its delegated role; the first error.
func followed(repo *tuftest.Repo) error {
	trusted, err := trustedmetadata.New(repo.RootBytes())
	if err != nil {
		return err
	}
	trusted.RefTime = tuftest.Epoch.Add(time.Hour)
	for _, root := range repo.Roots()[1:] {
		if _, err := trusted.UpdateRoot(root); err != nil {
			return err
		}
	}
	if _, err := trusted.UpdateTimestamp(repo.Data("timestamp")); err != nil {
		return err
	}
	if _, err := trusted.UpdateSnapshot(repo.Data("snapshot"), false); err != nil {
		return err
	}
	targets, err := trusted.UpdateTargets(repo.Data("targets"))
	if err != nil {
		return err
	}
	if d := targets.Signed.Delegations; d != nil {
		_ = d.GetRolesForTarget("team/file")
	}
	for _, role := range []string{"team", "images"} {
		_, _ = trusted.UpdateDelegatedTargets(repo.Data(role), role, "targets")
	}
	return nil
}
