package metadata

import (
	"bytes"
	"os"
	"testing"
)

func TestTargetData(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	want := func(path, data string) {
		t.Helper()
		got, err := ws.TargetData(path)
		w.must(err)
		if string(got) != data {
			t.Errorf("%s: %q, want %q", path, got, data)
		}
	}
	large := bytes.Repeat([]byte("x"), MaxKeptTarget+1)
	for path, data := range map[string][]byte{"large": large, "kept": []byte("kept"), "damaged": []byte("as it was")} {
		_, err := ws.AddTarget(path, data, TargetOptions{})
		w.must(err)
	}
	want("large", string(large))
	w.publish(ws)
	want("kept", "kept")
	_, err := ws.AddTarget("kept", []byte("staged"), TargetOptions{})
	w.must(err)
	want("kept", "staged")

	_, err = ws.TargetData("large")
	wantErr(t, err, ErrNotAtHand, `"large"`)
	_, err = ws.TargetData("none")
	wantErr(t, err, ErrNoTarget, `"none"`)
	w.must(os.WriteFile(ws.path(blobsDir, checksum([]byte("as it was"))), []byte("as it is!"), 0o600))
	_, err = ws.TargetData("damaged")
	wantErr(t, err, ErrNotAtHand, `"damaged"`)
}

// What a delegated role lists is found as clients find it.
func TestTargetDataOfADelegatedRole(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.addKey(ws, "oncall")
	w.must(ws.AddDelegation(DelegationOptions{Name: "revocations", Keys: []string{"oncall"}}))
	_, err := ws.AddTarget("revocations/a.json", []byte("{}"), TargetOptions{Role: "revocations"})
	w.must(err)
	got, err := ws.TargetData("revocations/a.json")
	if err != nil || string(got) != "{}" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAddTargetsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	good := TargetFile{Path: "a", Data: []byte("a"), Custom: []byte(`{"b":1}`)}
	for _, bad := range []TargetFile{{Path: "b"}, {Path: "images/b:1", Data: []byte("b")}, {Path: "../b", Data: []byte("b")}, good} {
		_, err := ws.AddTargets([]TargetFile{good, bad}, "")
		wantErr(t, err, ErrInvalid, bad.Path)
		if staged, err := ws.Targets(TargetFilter{Staged: true}); err != nil || len(staged) > 0 {
			t.Errorf("%q: staged %v, %v", bad.Path, staged, err)
		}
	}
	added, err := ws.AddTargets([]TargetFile{good, {Path: "b", Data: []byte("b")}}, "")
	w.must(err)
	if len(added) != 2 || string(added[0].Custom) != `{"b":1}` || added[1].Path != "b" || !added[1].Staged {
		t.Errorf("added %+v", added)
	}
	if got, err := ws.TargetData("b"); err != nil || string(got) != "b" {
		t.Errorf("%q, %v", got, err)
	}
}
