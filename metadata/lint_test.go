package metadata

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// lintWorld is a small repository without a fault: root, targets with a team role and the role images with bins.
func lintWorld(t testing.TB) map[string][]byte {
	t.Helper()
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	root := tuf.Root(expires)
	for _, role := range []string{tuf.ROOT, tuf.ROOT, tuf.TARGETS, tuf.SNAPSHOT, tuf.TIMESTAMP} {
		if err := root.Signed.AddKey(testSigner(t, KeyEd25519).Key(), role); err != nil {
			t.Fatal(err)
		}
	}
	entry := &tuf.TargetFiles{Length: 5, Hashes: tuf.Hashes{"sha256": make([]byte, 32)}}
	delegate := func(md *tuf.Metadata[tuf.TargetsType], roles ...tuf.DelegatedRole) {
		key := testSigner(t, KeyEd25519).Key()
		md.Signed.Delegations = &tuf.Delegations{Keys: map[string]*tuf.Key{keyID(t, key): key}}
		for _, r := range roles {
			r.KeyIDs, r.Threshold = []string{keyID(t, key)}, 1
			md.Signed.Delegations.Roles = append(md.Signed.Delegations.Roles, r)
		}
	}
	targets := tuf.Targets(expires)
	targets.Signed.Targets = map[string]*tuf.TargetFiles{"notation/trustpolicy.json": entry, "revocations.json": entry, "docs/a.txt": entry}
	delegate(targets,
		tuf.DelegatedRole{Name: "team", Paths: []string{"charts/*", "images/shop/api:*", "images/shop/api@*"}},
		tuf.DelegatedRole{Name: "revocations", Paths: []string{"revocations/*"}},
		tuf.DelegatedRole{Name: "images", Paths: imagePatterns(), Terminating: true})
	team := tuf.Targets(expires)
	team.Signed.Targets = map[string]*tuf.TargetFiles{"charts/one.tgz": entry}
	binKey := testSigner(t, KeyEd25519).Key()
	images := tuf.Targets(expires)
	images.Signed.Delegations = &tuf.Delegations{
		Keys:          map[string]*tuf.Key{keyID(t, binKey): binKey},
		SuccinctRoles: &tuf.SuccinctRoles{KeyIDs: []string{keyID(t, binKey)}, Threshold: 1, BitLength: 4, NamePrefix: "b"},
	}
	snapshot, timestamp := tuf.Snapshot(expires), tuf.Timestamp(expires)
	meta := &tuf.MetaFiles{Version: 1, Length: 100, Hashes: tuf.Hashes{"sha256": make([]byte, 32)}}
	snapshot.Signed.Meta = map[string]*tuf.MetaFiles{"targets.json": meta, "team.json": meta, "images.json": meta}
	timestamp.Signed.Meta = map[string]*tuf.MetaFiles{"snapshot.json": meta}

	roles := map[string][]byte{}
	add := func(role string, data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		roles[role] = data
	}
	for role, md := range map[string]interface {
		ToBytes(pretty bool) ([]byte, error)
	}{
		tuf.ROOT: root, tuf.TARGETS: targets, "team": team, "revocations": tuf.Targets(expires), "images": images, "b-0": tuf.Targets(expires),
		tuf.SNAPSHOT: snapshot, tuf.TIMESTAMP: timestamp,
	} {
		data, err := md.ToBytes(false)
		add(role, data, err)
	}
	return roles
}

// object is a JSON object on the way to a fault.
type object = map[string]any

// at walks into an object by member names and indices.
func at(t testing.TB, value any, path ...string) any {
	t.Helper()
	for _, name := range path {
		switch v := value.(type) {
		case object:
			value = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				t.Fatalf("no element %q", name)
			}
			value = v[i]
		}
		if value == nil {
			t.Fatalf("nothing at %q of %v", name, path)
		}
	}
	return value
}

// edited is a role's file with its signed part changed.
func edited(t testing.TB, data []byte, change func(signed object)) []byte {
	t.Helper()
	var file struct {
		Signatures []any  `json:"signatures"`
		Signed     object `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	change(file.Signed)
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func onlyKey(t testing.TB, keys any) (string, object) {
	t.Helper()
	for id, key := range keys.(object) {
		return id, key.(object)
	}
	t.Fatal("no key")
	return "", nil
}

func keyObject(t testing.TB, key *tuf.Key) object {
	t.Helper()
	data, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLintCleanRepository(t *testing.T) {
	t.Parallel()
	findings := Lint(LintInput{Roles: lintWorld(t)})
	for _, f := range findings {
		if f.Level != LevelWarning || f.Rule != "bins" {
			t.Errorf("%s: %s", f.Level, f)
		}
	}
	if len(findings) != 1 {
		t.Errorf("%d findings: bins are worth a warning", len(findings))
	}
}

// Every row is one fault; the rule must name it, as an error unless the row says a warning.
func TestLintFaults(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	world := lintWorld(t)
	first := func(list any) object { return list.([]any)[0].(object) }
	delegated := func(signed object) object { return first(at(t, signed, "delegations", "roles")) }
	setPaths := func(paths ...any) func(object) {
		return func(s object) { delegated(s)["paths"] = paths }
	}
	target := func(s object) object { return at(t, s, "targets", "docs/a.txt").(object) }
	list := func(name string) func(object) {
		return func(s object) {
			s["targets"].(object)[name] = object{"length": 1, "hashes": object{"sha256": strings.Repeat("0", 64)}}
		}
	}
	for _, c := range []struct {
		name, role, rule string
		change           func(signed object)
	}{
		{"an id that is no hash", "root", "key-id", func(s object) {
			id, key := onlyKey(t, s["keys"])
			delete(s["keys"].(object), id)
			s["keys"].(object)["root-a"] = key
		}},
		{"a key with another field", "root", "key-id", func(s object) {
			_, key := onlyKey(t, s["keys"])
			key["x-owner"] = "@joe"
		}},
		{"one key under two types", "root", "duplicate-key", func(s object) {
			key := testSigner(t, KeyECDSAP256).Key()
			old := *key
			old.Type = tuf.KeyTypeECDSA_SHA2_P256_COMPAT
			s["keys"].(object)["a"], s["keys"].(object)["b"] = keyObject(t, key), keyObject(t, &old)
		}},
		{"a key id twice in a role", "root", "duplicate-key", func(s object) {
			r := at(t, s, "roles", "targets").(object)
			r["keyids"] = append(r["keyids"].([]any), r["keyids"].([]any)[0])
		}},
		{"a short ed25519 key", "root", "key", func(s object) {
			s["keys"].(object)["a"] = object{"keytype": "ed25519", "scheme": "ed25519", "keyval": object{"public": "00"}}
		}},
		{"P-384 as nistp256", "root", "key", func(s object) {
			key := keyObject(t, testSigner(t, KeyECDSAP384).Key())
			key["scheme"] = "ecdsa-sha2-nistp256"
			s["keys"].(object)["a"] = key
		}},
		{"a key of a type to come", "root", "key", func(s object) {
			s["keys"].(object)["a"] = object{"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": object{"public": "joe@example.com"}}
		}},
		{"an unknown key in a role", "root", "key-missing", func(s object) {
			at(t, s, "roles", "snapshot").(object)["keyids"] = []any{strings.Repeat("0", 64)}
		}},
		{"an unknown key in a delegation", "targets", "key-missing", func(s object) {
			delegated(s)["keyids"] = []any{strings.Repeat("0", 64)}
		}},
		{"a threshold of nothing", "root", "threshold", func(s object) { at(t, s, "roles", "targets").(object)["threshold"] = 0 }},
		{"a threshold out of reach", "root", "threshold", func(s object) { at(t, s, "roles", "targets").(object)["threshold"] = 2 }},
		{"a delegated threshold out of reach", "targets", "threshold", func(s object) { delegated(s)["threshold"] = 2 }},
		{"bins with a threshold out of reach", "images", "threshold", func(s object) { at(t, s, "delegations", "succinct_roles").(object)["threshold"] = 2 }},
		{"no spare root key", "root", "spare-key", func(s object) { at(t, s, "roles", "root").(object)["threshold"] = 2 }},
		{"a top-level role missing", "root", "roles", func(s object) { delete(s["roles"].(object), "timestamp") }},
		{"a role that no root has", "root", "roles", func(s object) { s["roles"].(object)["mirrors"] = s["roles"].(object)["targets"] }},
		{"no consistent snapshots", "root", "consistent-snapshot", func(s object) { s["consistent_snapshot"] = false }},

		{"half a second", "targets", "expires", func(s object) { s["expires"] = "2030-01-02T03:04:05.5Z" }},
		{"half a second, with a comma", "targets", "expires", func(s object) { s["expires"] = "2030-01-02T03:04:05,5Z" }},
		{"a time zone", "snapshot", "expires", func(s object) { s["expires"] = "2030-01-02T03:04:05+01:00" }},
		{"no expiry", "timestamp", "expires", func(s object) { delete(s, "expires") }},
		{"another type", "targets", "type", func(s object) { s["_type"] = "root" }},
		{"another specification", "targets", "spec-version", func(s object) { s["spec_version"] = "9.9" }},
		{"a specification that is none", "targets", "spec-version", func(s object) { s["spec_version"] = "1.x" }},
		{"version 0", "targets", "version", func(s object) { s["version"] = 0 }},
		{"no version", "timestamp", "version", func(s object) { delete(s, "version") }},
		{"a negative version", "snapshot", "version", func(s object) { s["version"] = -1 }},
		{"a fraction", "targets", "json", func(s object) { s["x-ratio"] = 0.5 }},
		{"a large number", "targets", "json", func(s object) { target(s)["custom"] = object{"size": json.Number("9007199254740992")} }},
		{"a large negative number", "targets", "json", func(s object) { target(s)["custom"] = object{"size": json.Number("-9007199254740992")} }},
		{"a whole number with an exponent", "targets", "json", func(s object) { s["x-n"] = json.Number("1e3") }},
		{"minus nothing", "targets", "json", func(s object) { s["x-n"] = json.Number("-0") }},

		{"a CA listed by a team", "team", "reserved", list("notation/x509/ca/acme/evil.pem")},
		{"a policy listed by a team", "team", "reserved", list("notation/trustpolicy.json")},
		{"a revocation listed by a bin", "b-0", "reserved", list("revocations.json")},
		{"a file of revocations listed by a team", "team", "reserved", list("revocations/a.json")},
		{"our own tree listed by a bin", "b-0", "reserved", list("tufoci/anything")},
		{"a star", "targets", "reserved", setPaths("*")},
		{"stars", "targets", "reserved", setPaths("*/*")},
		{"deep stars", "targets", "reserved", setPaths("*/*/*/*/*")},
		{"the tree by name", "targets", "reserved", setPaths("notation/*")},
		{"the tree by its letters", "targets", "reserved", setPaths("n?tatio*/x509/ca/acme/*")},
		{"our own tree", "targets", "reserved", setPaths("tufoci/state")},
		{"the list of revocations", "targets", "reserved", setPaths("revocations.*")},
		{"one among harmless ones", "targets", "reserved", setPaths("charts/*", "r*.json")},
		{"revocations for a team", "targets", "reserved", setPaths("revocations/*")},
		{"revocations by stars", "targets", "reserved", setPaths("r*/*")},
		{"revocations with more", "targets", "reserved", func(s object) {
			r := at(t, s, "delegations", "roles", "1").(object)
			r["paths"] = []any{"revocations/*", "charts/*"}
		}},
		{"revocations delegated by a team", "team", "reserved", func(s object) {
			s["delegations"] = object{"keys": object{}, "roles": []any{object{"name": "revocations", "keyids": []any{}, "threshold": 1, "terminating": false, "paths": []any{"revocations/*"}}}}
		}},
		{"the tree by a broken class", "targets", "reserved", setPaths("n[otation/x")},
		{"a class of characters", "targets", "pattern", setPaths("charts/[a-z]*")},
		{"a class that languages negate in two ways", "targets", "pattern", setPaths("[!a]evocations.json")},
		{"a backslash", "targets", "pattern", setPaths(`charts\*`)},
		{"no paths", "targets", "pattern", func(s object) { delete(delegated(s), "paths") }},
		{"a top-level role delegated", "targets", "role-name", func(s object) { delegated(s)["name"] = "snapshot" }},
		{"root delegated by a team", "team", "role-name", func(s object) {
			s["delegations"] = object{"keys": object{}, "roles": []any{object{"name": "root", "keyids": []any{}, "threshold": 1, "terminating": false, "paths": []any{"x/*"}}}}
		}},
		{"one role twice", "targets", "role-name", func(s object) { at(t, s, "delegations", "roles", "2").(object)["name"] = "team" }},
		{"a role without a name", "targets", "role-name", func(s object) { delegated(s)["name"] = "" }},
		{"path hash prefixes", "targets", "path-hash-prefixes", func(s object) {
			delete(delegated(s), "paths")
			delegated(s)["path_hash_prefixes"] = []any{"00"}
		}},
		{"bins under targets", "targets", "bins", func(s object) {
			d := s["delegations"].(object)
			d["succinct_roles"] = object{"keyids": delegated(s)["keyids"], "threshold": 1, "bit_length": 4, "name_prefix": "b"}
			delete(d, "roles")
		}},
		{"bins beside roles", "images", "bins", func(s object) { s["delegations"].(object)["roles"] = []any{} }},
		{"more bins than a bundle takes", "images", "bins", func(s object) { at(t, s, "delegations", "succinct_roles").(object)["bit_length"] = 9 }},
		{"bins without bits", "images", "json", func(s object) { at(t, s, "delegations", "succinct_roles").(object)["bit_length"] = 0 }},

		{"an empty file", "targets", "empty", func(s object) { target(s)["length"] = 0 }},
		{"no hash", "targets", "hashes", func(s object) { target(s)["hashes"] = object{"md5": "00"} }},
		{"two hashes", "targets", "hashes", func(s object) {
			target(s)["hashes"].(object)["sha512"] = strings.Repeat("0", 128)
		}},
		{"a short hash", "targets", "hashes", func(s object) { target(s)["hashes"] = object{"sha256": "00"} }},
		{"a path up", "targets", "path", list("../a.txt")},
		{"an absolute path", "targets", "path", list("/a.txt")},
		{"a path with a line break", "targets", "path", list("a\n.txt")},

		{"a role without hash in snapshot", "snapshot", "meta", func(s object) { delete(at(t, s, "meta", "targets.json").(object), "hashes") }},
		{"a role without length in snapshot", "snapshot", "meta", func(s object) { delete(at(t, s, "meta", "targets.json").(object), "length") }},
		{"snapshot without hash", "timestamp", "meta", func(s object) { delete(at(t, s, "meta", "snapshot.json").(object), "hashes") }},
		{"more in a timestamp", "timestamp", "meta", func(s object) { s["meta"].(object)["root.json"] = at(t, s, "meta", "snapshot.json") }},
		{"targets not in snapshot", "snapshot", "meta", func(s object) { delete(s["meta"].(object), "targets.json") }},

		{"a large timestamp", "timestamp", "size", func(s object) { s["x-padding"] = strings.Repeat("x", maxTimestampSize) }},
		{"a large root", "root", "size", func(s object) { s["x-padding"] = strings.Repeat("x", maxRootSize) }},
		{"a large snapshot", "snapshot", "size", func(s object) { s["x-padding"] = strings.Repeat("x", maxSnapshotSize) }},
		{"large targets", "team", "size", func(s object) { s["x-padding"] = strings.Repeat("x", maxTargetsSize) }},
	} {
		roles := map[string][]byte{}
		maps.Copy(roles, world)
		roles[c.role] = edited(t, roles[c.role], c.change)
		findings := Lint(LintInput{Roles: roles})
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Role == c.role && f.Rule == c.rule && f.Level == LevelError }) {
			t.Errorf("%s: want error %q of %s, have %v", c.name, c.rule, c.role, findings)
		}
	}
}

func TestLintWarns(t *testing.T) {
	t.Parallel()
	world := lintWorld(t)
	for _, c := range []struct {
		name, role, rule string
		change           func(signed object)
	}{
		{"P-384", "root", "p384", func(s object) {
			key := testSigner(t, KeyECDSAP384).Key()
			s["keys"].(object)[keyID(t, key)] = keyObject(t, key)
		}},
		{"overlapping patterns", "targets", "overlap", func(s object) {
			roles := at(t, s, "delegations", "roles").([]any)
			other := object{"name": "other", "paths": []any{"charts/prod-*"}}
			for k, v := range roles[0].(object) {
				if other[k] == nil {
					other[k] = v
				}
			}
			s["delegations"].(object)["roles"] = append(roles, other)
		}},
	} {
		roles := map[string][]byte{}
		maps.Copy(roles, world)
		roles[c.role] = edited(t, roles[c.role], c.change)
		findings := Lint(LintInput{Roles: roles})
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Role == c.role && f.Rule == c.rule && f.Level == LevelWarning }) {
			t.Errorf("%s: want warning %q of %s, have %v", c.name, c.rule, c.role, findings)
		}
		if errs := LintErrors(findings); len(errs) > 0 {
			t.Errorf("%s: %v", c.name, errs)
		}
	}
}

func TestLintRawJSON(t *testing.T) {
	t.Parallel()
	world := lintWorld(t)
	replace := func(old, new string) []byte {
		out := strings.Replace(string(world["team"]), old, new, 1)
		if out == string(world["team"]) {
			t.Fatalf("no %q", old)
		}
		return []byte(out)
	}
	for name, data := range map[string][]byte{
		"nothing":             nil,
		"no JSON":             []byte("timestamp"),
		"a list":              []byte("[]"),
		"a member twice":      replace(`"version":1`, `"version":1,"version":2`),
		"more behind it":      append(slices.Clone(world["team"]), "{}"...),
		"deep nesting":        replace(`"version":1`, `"x":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"version":1`),
		"two signatures":      replace(`"signatures":[]`, `"signatures":[{"keyid":"aa","sig":"00"},{"keyid":"aa","sig":"01"}]`),
		"an empty signature":  replace(`"signatures":[]`, `"signatures":[{"keyid":"aa","sig":""}]`),
		"signatures as a map": replace(`"signatures":[]`, `"signatures":{}`),
	} {
		findings := LintErrors(Lint(LintInput{Roles: map[string][]byte{"team": data}}))
		if len(findings) == 0 {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheckTokens(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`{"a":{"b":[1,"x",true]}}`:               true,
		`{"a":1,"b":{"a":1}}`:                    true,
		`{"a":1,"a":1}`:                          false,
		`{"a":1}{}`:                              false,
		`{"a":1}x`:                               false,
		`{"a":1`:                                 false,
		`{"a":null}`:                             false,
		`{"a":9007199254740991}`:                 true,
		`{"a":9007199254740992}`:                 false,
		`{"signed":{"targets":{"x":null}}}`:      false,
		`{"signed":{"targets":{"custom":null}}}`: false,
		`{"signed":{"keys":{"x":{"custom":{"a":null}}}}}`:                 false,
		`{"signed":{"targets":{"x":{"custom":{"a":null}}}}}`:              true,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):     true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
	} {
		if err := checkTokens([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Malformed metadata is refused, and never more than refused: null stands at every position once.
func TestLintMalformed(t *testing.T) {
	t.Parallel()
	for role, data := range lintWorld(t) {
		var file any
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		eachNull(t, file, func(path string, data []byte) {
			findings := Lint(LintInput{Roles: map[string][]byte{role: data}})
			if len(LintErrors(findings)) == 0 {
				t.Errorf("%s: null at %s: no error", role, path)
			}
		})
	}
}

// eachNull calls visit with the document once for each of its values, that value being null.
func eachNull(t *testing.T, document any, visit func(path string, data []byte)) {
	t.Helper()
	var walk func(value any, path string, set func(any))
	walk = func(value any, path string, set func(any)) {
		set(nil)
		data, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		visit(path, data)
		set(value)
		switch v := value.(type) {
		case object:
			for name, member := range v {
				walk(member, path+"/"+name, func(x any) { v[name] = x })
			}
		case []any:
			for i, member := range v {
				walk(member, fmt.Sprintf("%s/%d", path, i), func(x any) { v[i] = x })
			}
		}
	}
	walk(document, "", func(x any) { document = x })
}

func TestLintNoSpareKey(t *testing.T) {
	t.Parallel()
	roles := lintWorld(t)
	roles["root"] = edited(t, roles["root"], func(s object) { at(t, s, "roles", "root").(object)["threshold"] = 2 })
	if errs := LintErrors(Lint(LintInput{Roles: roles, NoSpareKey: true})); len(errs) > 0 {
		t.Errorf("decided for no spare key: %v", errs)
	}
	roles["root"] = edited(t, roles["root"], func(s object) { at(t, s, "roles", "root").(object)["threshold"] = 3 })
	if errs := LintErrors(Lint(LintInput{Roles: roles, NoSpareKey: true})); len(errs) == 0 {
		t.Error("a threshold out of reach passes with no spare key")
	}
}

func TestLintFiles(t *testing.T) {
	t.Parallel()
	for files, want := range map[int]int{0: 0, 512: 0, 513: 1} {
		if got := len(Lint(LintInput{Files: files, MaxFiles: 512})); got != want {
			t.Errorf("%d files: %d findings", files, got)
		}
	}
	if got := Lint(LintInput{Files: 1 << 20}); len(got) > 0 {
		t.Errorf("without a limit: %v", got)
	}
}

// Errors come first, so that a person sees what stops a publish.
func TestLintOrder(t *testing.T) {
	t.Parallel()
	roles := lintWorld(t)
	roles["team"] = edited(t, roles["team"], func(s object) { s["version"] = 0 })
	findings := Lint(LintInput{Roles: roles})
	if len(findings) != 2 || findings[0].Level != LevelError || findings[1].Level != LevelWarning {
		t.Errorf("%v", findings)
	}
	err := &LintError{Findings: findings}
	if !strings.Contains(err.Error(), "team: ") || !err.Is(ErrLint) {
		t.Errorf("%v", err)
	}
}

func TestLintVisits(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{maxVisits - 1: false, maxVisits: true, 60: true} {
		roles := lintWorld(t)
		roles["targets"] = edited(t, roles["targets"], func(s object) {
			all := at(t, s, "delegations", "roles").([]any)
			for i := range n {
				r := object{"name": fmt.Sprintf("r%d", i), "paths": []any{"charts/*"}}
				for k, v := range all[0].(object) {
					if r[k] == nil {
						r[k] = v
					}
				}
				all = append(all, r)
			}
			s["delegations"].(object)["roles"] = all[1:]
		})
		findings := Lint(LintInput{Roles: roles})
		if got := slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == "visits" && f.Level == LevelError }); got != want {
			t.Errorf("%d roles for one name: refused %t, want %t", n, got, want)
		}
	}
}

func TestPatternsMeet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"*", "a", true},
		{"*", "a/b", false},
		{"*/*", "a/b", true},
		{"a*", "*b", true},
		{"a*c", "ab*", true},
		{"a*c", "b*", false},
		{"a?", "ab", true},
		{"a?", "a", false},
		{"?", "*", true},
		{"*a*", "*b*", true},
		{"a*b", "a*c", false},
		{"*.json", "r*", true},
		{"[a]", "b", true},
		{"images/shop/api:*", "images/shop/api-admin:*", false},
		{"images/shop/*", "images/shop/api:*", true},
		{"", "*", true},
		{"?", "", false},
	} {
		if got := patternsMeet(c.a, c.b); got != c.want || patternsMeet(c.b, c.a) != c.want {
			t.Errorf("%q and %q: %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

// Patterns over a small alphabet are compared with every short name.
func TestPatternsMeetExhaustively(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	patterns := words("ab*?", 4)
	names := words("ab", 6)
	matches := map[string]map[string]bool{}
	for _, p := range patterns {
		matches[p] = map[string]bool{}
		for _, n := range names {
			if matchPattern(p, n) {
				matches[p][n] = true
			}
		}
	}
	for _, a := range patterns {
		for _, b := range patterns {
			want := false
			for n := range matches[a] {
				want = want || matches[b][n]
			}
			if got := globsMeet(a, b); got != want {
				t.Fatalf("%q and %q: %t, want %t", a, b, got, want)
			}
		}
	}
}

// words are all words over the alphabet with up to n letters.
func words(alphabet string, n int) []string {
	out, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, w := range last {
			for _, r := range alphabet {
				next = append(next, w+string(r))
			}
		}
		out, last = append(out, next...), next
	}
	return out
}
