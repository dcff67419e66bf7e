package trust_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

var revokedAt = time.Date(2026, 11, 23, 10, 2, 0, 0, time.UTC)

func imageSum(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// revoke makes a list of images by number, and of certificates by negative ones.
func revoke(t testing.TB, numbers ...int) []byte {
	t.Helper()
	var r material.Revocations
	for _, n := range numbers {
		if n < 0 {
			r.Certificates = append(r.Certificates, material.RevokedCertificate{SHA256: imageSum(-n)[7:], Reason: "key-compromise", Time: revokedAt})
		} else {
			r.Images = append(r.Images, material.RevokedImage{Digest: imageSum(n), Reason: fmt.Sprint("CVE-", n), Time: revokedAt})
		}
	}
	data, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// revoked are the numbers of what view says is revoked.
func revoked(t testing.TB, view *trust.View) []int {
	t.Helper()
	r, err := view.Revocations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, i := range r.Images {
		var n int
		fmt.Sscanf(i.Digest, "sha256:%x", &n)
		got = append(got, n)
	}
	for _, c := range r.Certificates {
		var n int
		fmt.Sscanf(c.SHA256, "%x", &n)
		got = append(got, -n)
	}
	slices.Sort(got)
	return got
}

// revocationWorld has lists of targets and of the role revocations, a team that
// lists what it may not, and hash bins.
func revocationWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("revocations.json", revoke(t, 1, -2))
	w.AddTarget("revocations/a.json", revoke(t, 1, 3))
	w.AddTarget("revocations/deep/b.json", revoke(t, 4))
	w.AddTarget("notation/trustpolicy.json", []byte("policy"))
	w.AddTarget("file", []byte("x"))
	w.Delegate("targets", "team", []string{"*", "*/*"}, true)
	w.AddTargetTo("team", "revocations/team.json", revoke(t, 90))
	w.Delegate("targets", "revocations", []string{"revocations/*"}, false)
	w.AddTargetTo("revocations", "revocations/a.json", revoke(t, 5))
	w.AddTargetTo("revocations", "revocations/oncall.json", revoke(t, 6))
	w.AddTargetTo("revocations", "revocations/deep/c.json", revoke(t, 91))
	w.AddTargetTo("revocations", "revocations.json", revoke(t, 92))
	w.AddTargetTo("revocations", "notation/trustpolicy.json", []byte("evil"))
	return w
}

func TestReservedTargets(t *testing.T) {
	t.Parallel()
	w := revocationWorld(t)
	// Roles that nobody has to read, and that nobody can.
	w.Delegate("targets", "lost", []string{"notation/*", "*"}, false)
	w.publish()
	w.edit = func(files map[string][]byte) {
		delete(files, "metadata/1.lost.json")
		delete(files, "metadata/1.team.json")
	}
	w.out()
	view := w.mustRefresh()
	targets, err := view.Reserved(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range targets {
		got = append(got, target.Role+" "+target.Path)
	}
	want := []string{
		"targets notation/trustpolicy.json", "targets revocations.json", "targets revocations/a.json",
		"targets revocations/deep/b.json", "revocations revocations/oncall.json",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, target := range targets {
		if again, err := view.Lookup(t.Context(), target.Path); err != nil || again.Role != target.Role || again.Hashes["sha256"] != target.Hashes["sha256"] {
			t.Errorf("%s: lookup answers %+v, %v", target.Path, again, err)
		}
	}
	if warnings := view.Status().Warnings; slices.ContainsFunc(warnings, func(s string) bool { return !strings.HasPrefix(s, `role "revocations" lists`) }) {
		t.Errorf("warnings %q", warnings)
	}
}

func TestReservedReadsNoHashBin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.AddTarget("revocations.json", revoke(t, 1))
	w.DelegateBins("targets", "images", 4)
	w.publish()
	view := w.mustRefresh()
	w.at.reset()
	if targets, err := view.Reserved(t.Context()); err != nil || len(targets) != 1 || w.at.requests() != 0 {
		t.Errorf("%v, %v, %d requests", targets, err, w.at.requests())
	}
	if got := revoked(t, view); !slices.Equal(got, []int{1}) || w.at.requests() != 1 {
		t.Errorf("%v, %d requests", got, w.at.requests())
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	w := revocationWorld(t)
	w.publish()
	view := w.mustRefresh()
	if got := revoked(t, view); !slices.Equal(got, []int{-2, 1, 3, 4, 5, 6}) {
		t.Errorf("revoked %v", got)
	}
	// Without a network as well.
	w.at.reset()
	if got := revoked(t, w.load()); !slices.Equal(got, []int{-2, 1, 3, 4, 5, 6}) || w.at.requests() != 0 {
		t.Errorf("offline: revoked %v", got)
	}
	none := newWorld(t, tuftest.RepoOptions{})
	if got := revoked(t, none.mustRefresh()); len(got) != 0 {
		t.Errorf("revoked %v", got)
	}
}

// A role that may not deny says so, and its lists revoke nothing.
func TestRevocationsOfAWiderRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "revocations", []string{"revocations/*", "x/*"}, false)
	w.AddTargetTo("revocations", "revocations/x.json", revoke(t, 1))
	w.publish()
	view := w.mustRefresh()
	if got := revoked(t, view); len(got) != 0 {
		t.Errorf("revoked %v", got)
	}
	if !slices.ContainsFunc(view.Status().Warnings, func(s string) bool { return strings.Contains(s, "revokes nothing") }) {
		t.Errorf("warnings %q", view.Status().Warnings)
	}
}

func TestRevocationsFailClosed(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, tt := range map[string]struct {
		edit  func(w *world)
		cause error
	}{
		"a list that is none":      {func(w *world) { w.AddTarget("revocations.json", []byte("{}")) }, material.ErrInvalid},
		"a later version":          {func(w *world) { w.AddTarget("revocations.json", []byte(`{"version":2,"images":[],"certificates":[]}`)) }, material.ErrInvalid},
		"one of several":           {func(w *world) { w.AddTarget("revocations/z.json", []byte("")) }, material.ErrInvalid},
		"a file of another kind":   {func(w *world) { w.AddTarget("revocations/README", []byte("hello")) }, material.ErrInvalid},
		"one of the role":          {func(w *world) { w.AddTargetTo("revocations", "revocations/z.json", []byte("x")) }, material.ErrInvalid},
		"one that the other hides": {func(w *world) { w.AddTargetTo("revocations", "revocations/a.json", []byte("x")) }, material.ErrInvalid},
		"a role that is gone": {func(w *world) {
			w.edit = func(files map[string][]byte) { delete(files, "metadata/1.revocations.json") }
		}, trust.ErrStaleCopy},
		"a role that expired":          {func(w *world) { w.SetExpiry("revocations", w.now.Add(-time.Minute)) }, trust.ErrExpired},
		"a list that is gone":          {func(w *world) { w.edit = withoutFile("revocations.json") }, trust.ErrStaleCopy},
		"a list of the role is gone":   {func(w *world) { w.edit = withoutFile("oncall.json") }, trust.ErrStaleCopy},
		"a list too large to be read":  {func(w *world) { w.AddTarget("revocations/z.json", make([]byte, material.MaxRevocationsSize+1)) }, nil},
		"a list that cannot be a file": {func(w *world) { w.AddEntry("targets", "revocations/../x.json", 1, imageSum(1)[7:], nil) }, trust.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := revocationWorld(t)
			tt.edit(w)
			w.publish()
			r, err := w.mustRefresh().Revocations(t.Context())
			if e := refused(t, err, trust.ErrRevocations); e.Kind != trust.ErrRevocations || r != nil {
				t.Errorf("%+v, %v", r, err)
			}
			if tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("%v is not %q", err, tt.cause)
			}
		})
	}
	w := revocationWorld(t)
	w.publish()
	w.SignAs("revocations", tuftest.NewKey(t, tuftest.Ed25519))
	w.out()
	if _, err := w.mustRefresh().Revocations(t.Context()); !errors.Is(err, trust.ErrRevocations) || !errors.Is(err, trust.ErrThreshold) {
		t.Errorf("a role signed by another: %v", err)
	}
	// So does the list of reserved names.
	w = revocationWorld(t)
	w.edit = func(files map[string][]byte) { delete(files, "metadata/1.revocations.json") }
	w.publish()
	targets, err := w.mustRefresh().Reserved(t.Context())
	if refused(t, err, trust.ErrRevocations); targets != nil || !errors.Is(err, trust.ErrStaleCopy) {
		t.Errorf("%v, %v", targets, err)
	}
}

// A list that says it is too large is not read.
func TestRevocationsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.AddTarget("revocations.json", make([]byte, material.MaxRevocationsSize+1))
	w.publish()
	view := w.mustRefresh()
	w.at.reset()
	_, err := view.Revocations(t.Context())
	if refused(t, err, trust.ErrRevocations); w.at.requests() != 0 {
		t.Errorf("%d requests, %v", w.at.requests(), err)
	}
}

// Nor are many lists that are large together, whoever has them.
func TestRevocationsTooLargeTogether(t *testing.T) {
	t.Parallel()
	w := revocationWorld(t)
	for i := range 4 {
		w.AddEntry("revocations", fmt.Sprintf("revocations/%d.json", i), material.MaxRevocationsSize, imageSum(i)[7:], nil)
	}
	w.publish()
	view := w.mustRefresh()
	w.at.reset()
	_, err := view.Revocations(t.Context())
	if refused(t, err, trust.ErrRevocations); w.at.requests() != 0 || !strings.Contains(err.Error(), "together") {
		t.Errorf("%d requests, %v", w.at.requests(), err)
	}
}

// withoutFile loses a target file.
func withoutFile(base string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		for title := range files {
			if strings.HasPrefix(title, "targets/") && strings.HasSuffix(title, "."+base) {
				delete(files, title)
			}
		}
	}
}

// gone are the warnings of revocations that are no longer listed.
func gone(view *trust.View) []string {
	return slices.DeleteFunc(view.Status().Warnings, func(s string) bool { return !strings.Contains(s, "no longer listed") })
}

// Whoever lists very many, and then none, does not make a client print them all.
func TestVeryManyRevocationsThatAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	var images []int
	for i := range 150 {
		images = append(images, i+1)
	}
	w.AddTarget("revocations.json", revoke(t, images...))
	w.publish()
	revoked(t, w.mustRefresh())
	w.RemoveTarget("revocations.json")
	w.publish()
	view := w.mustRefresh()
	revoked(t, view)
	if got := gone(view); len(got) != 101 || got[100] != "50 more revocations were seen before and are no longer listed" {
		t.Errorf("%d warnings, the last %q", len(got), got[len(got)-1])
	}
}

func TestRevocationsThatAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("revocations.json", revoke(t, 1, 2, -3))
	w.publish()
	view := w.mustRefresh()
	revoked(t, view)
	if revoked(t, view); len(gone(view)) != 0 {
		t.Errorf("warnings %q", gone(view))
	}
	w.AddTarget("revocations.json", revoke(t, 2, 4))
	w.publish()
	want := []string{
		"revocation of " + imageSum(1) + ` ("CVE-1") was seen before and is no longer listed`,
		"revocation of certificate " + imageSum(3) + ` ("key-compromise") was seen before and is no longer listed`,
	}
	for range 2 {
		view := w.mustRefresh()
		if got := revoked(t, view); !slices.Equal(got, []int{2, 4}) {
			t.Errorf("revoked %v", got)
		}
		revoked(t, view)
		if got := gone(view); !slices.Equal(got, want) {
			t.Errorf("warnings %q, want %q", got, want)
		}
	}
	// Also when the list is gone altogether, and of what came later.
	w.RemoveTarget("revocations.json")
	w.publish()
	view = w.mustRefresh()
	if revoked(t, view); len(gone(view)) != 4 {
		t.Errorf("warnings %q", gone(view))
	}
	// Listed again, all is well.
	w.AddTarget("revocations.json", revoke(t, 1, 2, -3, 4))
	w.publish()
	view = w.mustRefresh()
	if revoked(t, view); len(gone(view)) != 0 {
		t.Errorf("warnings %q", gone(view))
	}
}

func TestRevocationsSeenInMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("revocations.json", revoke(t, 1))
	w.publish()
	c := w.client(func(o *trust.Options) { o.StateDir = "" })
	for n := range 2 {
		view, err := c.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if revoked(t, view); len(gone(view)) != n {
			t.Errorf("run %d: warnings %q", n, gone(view))
		}
		w.RemoveTarget("revocations.json")
		w.publish()
	}
}

func TestRevocationsSeenHeal(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"empty": "", "null": "null", "half": `{"format":1,"images":[`, "zeros": "\x00\x00", "another format": `{"format":2,"images":[{"digest":"x","reason":"y"}]}`, "gone": "-",
	} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.AddTarget("revocations.json", revoke(t, 1))
		w.publish()
		revoked(t, w.mustRefresh())
		whole := w.stateFiles()["revocations.json"]
		if data == "-" {
			os.Remove(w.stateFile("revocations.json"))
		} else {
			w.writeState("revocations.json", []byte(data))
		}
		view := w.mustRefresh()
		if got := revoked(t, view); !slices.Equal(got, []int{1}) || len(gone(view)) != 0 {
			t.Errorf("%s: revoked %v, warnings %q", name, got, gone(view))
		}
		if healed := w.stateFiles()["revocations.json"]; healed != whole || whole == "" {
			t.Errorf("%s: %q has not healed to %q", name, healed, whole)
		}
	}
}

// That the state cannot be written changes no answer, and a killed process leaves
// the old memory or the new one.
func TestRevocationsWhenTheStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("revocations.json", revoke(t, 1))
	w.publish()
	revoked(t, w.mustRefresh())
	before := w.stateFiles()["revocations.json"]
	w.AddTarget("revocations.json", revoke(t, 1, 2))
	w.publish()
	w.mustRefresh()
	for name, failure := range map[string]error{"read-only": trust.ErrReadOnly, "killed": errCrash} {
		c := w.client()
		c.OnWriteStep(func(step, file string) error {
			if step == "rename" || failure == trust.ErrReadOnly {
				return failure
			}
			return nil
		})
		view, err := c.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := revoked(t, view); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("%s: revoked %v", name, got)
		}
		if warnings := view.Status().Warnings; !slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "could not be remembered") }) {
			t.Errorf("%s: warnings %q", name, warnings)
		}
		if after := w.stateFiles()["revocations.json"]; after != before {
			t.Errorf("%s: %q", name, after)
		}
	}
	// Nothing is remembered of what does not count as verified.
	for name, edit := range map[string]func(*trust.Options){
		"as of": func(o *trust.Options) { o.AsOf = w.now }, "expired allowed": func(o *trust.Options) { o.AllowExpired = true },
	} {
		if got := revoked(t, w.mustRefresh(edit)); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("%s: revoked %v", name, got)
		}
		if after := w.stateFiles()["revocations.json"]; after != before {
			t.Errorf("%s: %q", name, after)
		}
	}
	revoked(t, w.mustRefresh())
	if after := w.stateFiles()["revocations.json"]; after == before {
		t.Error("nothing was remembered")
	}
}

// The list of what was seen has an end, so that it can be read back.
func TestSeenRevocationsAreBounded(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	long := &material.Revocations{Images: []material.RevokedImage{{Reason: strings.Repeat("x", 32<<20)}}}
	if _, err := trust.MarshalSeen(long); err == nil {
		t.Error("more is written than is read")
	}
}
