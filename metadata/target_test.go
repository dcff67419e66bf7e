package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAddTarget(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	added, err := ws.AddTarget("notation/x509/ca/acme/ca.pem", []byte("data"), TargetOptions{Custom: json.RawMessage(`{"b": 1, "a": ["<&>", 9007199254740991]}`)})
	w.must(err)
	if added.Role != "targets" || added.SHA256 != checksum([]byte("data")) || added.Length != 4 || !added.Staged {
		t.Errorf("%+v", added)
	}
	w.publish(ws)
	f, ok := w.channel["targets/notation/x509/ca/acme/"+added.SHA256+".ca.pem"]
	if !ok || string(f.Data) != "data" {
		t.Errorf("titles %v", slices.Collect(keys(w.channel)))
	}
	info, _, err := w.find(ws).get("notation/x509/ca/acme/ca.pem")
	w.must(err)
	var custom map[string]any
	w.must(json.Unmarshal(*info.Custom, &custom))
	if fmt.Sprint(custom["a"]) != "[<&> 9.007199254740991e+15]" {
		t.Errorf("custom %s", *info.Custom)
	}
	list, err := ws.Targets(TargetFilter{})
	w.must(err)
	if len(list) != 1 || list[0].Staged || list[0].Path != added.Path {
		t.Errorf("%+v", list)
	}
	_, err = ws.RemoveTarget("", added.Path)
	w.must(err)
	w.publish(ws)
	for name := range w.channel {
		if strings.HasPrefix(name, "targets/") {
			t.Errorf("%s stays", name)
		}
	}
	if names, err := os.ReadDir(ws.path(blobsDir)); err != nil || len(names) > 0 {
		t.Errorf("bytes stay: %v, %v", names, err)
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestAddTargetRefuses(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"dev"}}))
	w.publish(ws)
	data := []byte("data")
	for name, c := range map[string]struct {
		path string
		data []byte
		o    TargetOptions
		want error
	}{
		"zero bytes":      {"a", nil, TargetOptions{}, ErrInvalid},
		"empty":           {"", data, TargetOptions{}, ErrInvalid},
		"absolute":        {"/a", data, TargetOptions{}, ErrInvalid},
		"parent":          {"a/../b", data, TargetOptions{}, ErrInvalid},
		"dot":             {"./a", data, TargetOptions{}, ErrInvalid},
		"directory":       {"a/", data, TargetOptions{}, ErrInvalid},
		"double slash":    {"a//b", data, TargetOptions{}, ErrInvalid},
		"newline":         {"a\nb", data, TargetOptions{}, ErrInvalid},
		"null byte":       {"a\x00b", data, TargetOptions{}, ErrInvalid},
		"direction":       {"a\u202eb", data, TargetOptions{}, ErrInvalid},
		"not UTF-8":       {"a\xff", data, TargetOptions{}, ErrInvalid},
		"backslash":       {`a\b`, data, TargetOptions{}, ErrInvalid},
		"long":            {strings.Repeat("a/", 600) + "a", data, TargetOptions{}, ErrInvalid},
		"long base":       {strings.Repeat("a", 200), data, TargetOptions{}, ErrInvalid},
		"image":           {"images/shop/api:1", data, TargetOptions{}, ErrInvalid},
		"no role":         {"a", data, TargetOptions{Role: "none"}, ErrNoRole},
		"root":            {"a", data, TargetOptions{Role: "root"}, ErrInvalid},
		"not delegated":   {"a", data, TargetOptions{Role: "team"}, ErrNotDelegated},
		"reserved":        {"notation/trustpolicy.json", data, TargetOptions{Role: "team"}, ErrReserved},
		"revocations":     {"revocations.json", data, TargetOptions{Role: "team"}, ErrReserved},
		"custom array":    {"a", data, TargetOptions{Custom: json.RawMessage(`[]`)}, ErrInvalid},
		"custom null":     {"a", data, TargetOptions{Custom: json.RawMessage(`null`)}, ErrInvalid},
		"custom float":    {"a", data, TargetOptions{Custom: json.RawMessage(`{"a":[1.5]}`)}, ErrInvalid},
		"custom exponent": {"a", data, TargetOptions{Custom: json.RawMessage(`{"a":1e3}`)}, ErrInvalid},
		"custom large":    {"a", data, TargetOptions{Custom: json.RawMessage(`{"a":9007199254740992}`)}, ErrInvalid},
		"custom junk":     {"a", data, TargetOptions{Custom: json.RawMessage(`{} {}`)}, ErrInvalid},
		"custom size":     {"a", data, TargetOptions{Custom: json.RawMessage(`{"a":"` + strings.Repeat("x", maxCustom) + `"}`)}, ErrInvalid},
	} {
		_, err := ws.AddTarget(c.path, c.data, c.o)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantErr(t, err, c.want)
	}
	if len(ws.staged) > 0 {
		t.Error("something is staged")
	}
	_, err := ws.AddTarget("a", nil, TargetOptions{})
	wantErr(t, err, ErrInvalid, "zero bytes")
}

func TestAddTargetEntriesRefuses(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	good := entryLine("shop/api:1", 1)
	sum := checksum([]byte("x"))
	line := func(path, length, hashes, more string) string {
		return fmt.Sprintf(`{"path":%q,"length":%s,"hashes":%s%s}`, path, length, hashes, more)
	}
	hashes := `{"sha256":"` + sum + `"}`
	for name, bad := range map[string]string{
		"junk":           "{",
		"two values":     good[:len(good)-1] + "{}",
		"unknown member": line("images/a:1", "1", hashes, `,"size":1`),
		"no path":        `{"length":1,"hashes":` + hashes + `}`,
		"not an image":   line("charts/a", "1", hashes, ""),
		"no tag":         line("images/a", "1", hashes, ""),
		"a host":         line("images/reg.io:5000/a:1", "1", hashes, ""),
		"upper case":     line("images/A:1", "1", hashes, ""),
		"tag":            line("images/a:-x", "1", hashes, ""),
		"short digest":   line("images/a@sha256:00", "1", hashes, ""),
		"other digest":   line("images/a@sha256:"+checksum([]byte("y")), "1", hashes, ""),
		"parent":         line("images/../a:1", "1", hashes, ""),
		"zero length":    line("images/a:1", "0", hashes, ""),
		"negative":       line("images/a:1", "-1", hashes, ""),
		"float":          line("images/a:1", "1.5", hashes, ""),
		"too long":       line("images/a:1", "9007199254740992", hashes, ""),
		"no hash":        line("images/a:1", "1", "{}", ""),
		"null hashes":    line("images/a:1", "1", "null", ""),
		"sha512":         line("images/a:1", "1", `{"sha512":"00"}`, ""),
		"two hashes":     line("images/a:1", "1", `{"sha256":"`+sum+`","sha512":"00"}`, ""),
		"upper hash":     line("images/a:1", "1", `{"sha256":"`+strings.ToUpper(sum)+`"}`, ""),
		"not hex":        line("images/a:1", "1", `{"sha256":"`+strings.Repeat("g", 64)+`"}`, ""),
		"custom":         line("images/a:1", "1", hashes, `,"custom":{"a":1.5}`),
		"twice":          good,
		"deep":           line("images/"+strings.Repeat("a/", 8)+"a:1", "1", hashes, ""),
	} {
		if _, err := ws.AddTargetEntries(strings.NewReader(good+bad+"\n"), TargetOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantErr(t, err, ErrInvalid)
		}
	}
	_, err := ws.AddTargetEntries(strings.NewReader("\n"), TargetOptions{})
	wantErr(t, err, ErrInvalid)
	_, err = ws.AddTargetEntries(strings.NewReader(good), TargetOptions{Custom: json.RawMessage(`{}`)})
	wantErr(t, err, ErrInvalid)
	if len(ws.staged) > 0 {
		t.Error("something is staged")
	}
	added, err := ws.AddTargetEntries(strings.NewReader(good+"\n"+line("images/a@sha256:"+sum, "1", hashes, `,"custom":{"tufoci":{"index":"x"}}`)), TargetOptions{})
	if w.must(err); len(added) != 2 || added[1].Role != "targets" {
		t.Errorf("%+v", added)
	}
}

func TestEditsDropSignatures(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	signed := ws.staged["targets"]
	// The same again makes no difference, and keeps them.
	w.now = w.now.Add(day)
	_, err = ws.AddTarget("a", []byte("a"), TargetOptions{})
	if w.must(err); ws.staged["targets"].sum != signed.sum {
		t.Error("the role was staged again")
	}
	_, err = ws.AddTarget("a", []byte("b"), TargetOptions{})
	w.must(err)
	sigs, err := ws.Signatures()
	w.must(err)
	if len(sigs) != 1 || sigs[0].Rules[0].Have != 0 || ws.staged["targets"].version != 2 {
		t.Errorf("%s", sigs)
	}
	// Taking it back leaves nothing to publish.
	_, err = ws.RemoveTarget("targets", "a")
	if w.must(err); len(ws.staged) > 0 {
		t.Error("targets is still staged")
	}
	if r := w.publish(ws); len(r.Changed) != 2 || r.Changed[0].Role != "snapshot" { // due after a day
		t.Errorf("changed %v", r.Changed)
	}
}

func TestRemoveTargetRefuses(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	before := ws.staged["targets"].sum
	_, err = ws.RemoveTarget("", "a", "none")
	wantErr(t, err, ErrNoTarget, `"none"`)
	_, err = ws.RemoveTarget("none", "a")
	wantErr(t, err, ErrNoRole)
	if ws.staged["targets"].sum != before {
		t.Error("half of it was done")
	}
	removed, err := ws.RemoveTarget("", "a", "a")
	if w.must(err); len(removed) != 1 {
		t.Errorf("%+v", removed)
	}
}

func TestTargetsFilter(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 4)
	_, err := ws.AddTarget("old", []byte("old"), TargetOptions{})
	w.must(err)
	w.sign(ws)
	w.publish(ws)
	_, err = ws.AddTarget("new", []byte("new"), TargetOptions{})
	w.must(err)
	added, err := ws.AddTargetEntries(strings.NewReader(entryLine("shop/api:1", 1)), TargetOptions{})
	w.must(err)
	bin := added[0].Role
	for _, c := range []struct {
		f    TargetFilter
		want []string
	}{
		{TargetFilter{}, []string{bin + " images/shop/api:1 true", "targets new true", "targets old false"}},
		{TargetFilter{Staged: true}, []string{bin + " images/shop/api:1 true", "targets new true"}},
		{TargetFilter{Role: "targets"}, []string{"targets new true", "targets old false"}},
		{TargetFilter{Role: "bins"}, []string{bin + " images/shop/api:1 true"}},
		{TargetFilter{Role: bin}, []string{bin + " images/shop/api:1 true"}},
		{TargetFilter{Role: "images"}, nil},
	} {
		list, err := ws.Targets(c.f)
		w.must(err)
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprint(e.Role, " ", e.Path, " ", e.Staged))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
	_, err = ws.Targets(TargetFilter{Role: "none"})
	wantErr(t, err, ErrNoRole)
}

// Large files leave the workspace once they are published; the head has them from then on.
func TestLargeTargetsAreNotKept(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	large := bytes.Repeat([]byte("x"), MaxKeptTarget+1)
	_, err := ws.AddTarget("large", large, TargetOptions{})
	w.must(err)
	_, err = ws.AddTarget("small", large[1:], TargetOptions{})
	w.must(err)
	w.publish(ws)
	if _, err := os.Stat(ws.path(blobsDir, checksum(large))); err == nil {
		t.Error("the large file stays")
	}
	if _, err := os.Stat(ws.path(blobsDir, checksum(large[1:]))); err != nil {
		t.Error("the small file is gone")
	}
	_, err = ws.AddTarget("another", []byte("a"), TargetOptions{})
	w.must(err)
	r, err := w.assemble(ws)
	w.must(err)
	for _, f := range r.Files {
		if strings.HasSuffix(f.Name, ".large") != (f.Data == nil) {
			t.Errorf("%s has %d bytes", f.Name, len(f.Data))
		}
	}
	// Neither here nor there: the entry cannot be published.
	head := w.head()
	head.Files = slices.DeleteFunc(head.Files, func(f File) bool { return strings.HasSuffix(f.Name, ".large") })
	_, err = ws.Assemble(t.Context(), head, AssembleOptions{Now: w.now})
	wantErr(t, err, ErrDamaged, `target "large"`)
}

// Bytes that were changed behind the back of the workspace are not published.
func TestDamagedTargetBytes(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("data"), TargetOptions{})
	w.must(err)
	w.must(os.WriteFile(filepath.Join(ws.path(blobsDir), checksum([]byte("data"))), []byte("evil"), 0o600))
	_, err = w.assemble(ws)
	wantErr(t, err, ErrDamaged, `target "a"`)
}
