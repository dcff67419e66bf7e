package publish_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// All that a client could run of an index is revoked with it, also what lies in an index of the index.
func TestImageManifests(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a, b, c := manifest("a"), manifest("b"), manifest("c")
	for _, m := range [][]byte{a, b, c} {
		s.put("api", "", m)
	}
	inner := index(t, [][]byte{b, c}, "arm64", "unknown")
	s.put("api", "", inner)
	outer := index(t, [][]byte{a, inner, a}, "amd64", "arm64", "amd64")
	d := s.put("api", "1", outer)

	manifests := func(digest string) ([]string, error) {
		ref := s.request("api@" + digest).Reference
		found, err := publish.ImageManifests(t.Context(), remote(t, s.Registry, "api"), ref)
		var out []string
		for _, f := range found {
			out = append(out, f.String())
		}
		return out, err
	}
	got, err := manifests(d)
	want := []string{d, tuftest.Digest(a), tuftest.Digest(inner), tuftest.Digest(b), tuftest.Digest(c)}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := manifests(tuftest.Digest(a)); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := manifests(tuftest.Digest([]byte("x"))); !errors.Is(err, publish.ErrNoImage) {
		t.Errorf("no image: %v", err)
	}
	for range 4 {
		outer = index(t, [][]byte{outer}, "amd64")
		d = s.put("api", "", outer)
	}
	if _, err := manifests(d); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("deep indexes: %v", err)
	}
}

func TestAddRevocations(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 10, 2, 0, 0, time.UTC)
	image := func(name, repository, reason string) *material.Revocations {
		return &material.Revocations{Images: []material.RevokedImage{
			{Digest: tuftest.Digest([]byte(name)), Repository: repository, Reason: reason, Time: at},
		}}
	}
	data, added, err := publish.AddRevocations(nil, image("a", "", "CVE-1"))
	if err != nil || len(added.Images) != 1 {
		t.Fatalf("%+v, %v", added, err)
	}
	// The same again, or less than that, changes nothing.
	for _, again := range []*material.Revocations{image("a", "", "CVE-2"), image("a", "shop/api", "CVE-2")} {
		same, added, err := publish.AddRevocations(data, again)
		if err != nil || len(added.Images) != 0 || string(same) != string(data) {
			t.Errorf("%s, %+v, %v", same, added, err)
		}
	}
	// What was there stays as it was, beside what is new.
	longer, added, err := publish.AddRevocations(data, image("b", "", "CVE-2"))
	if err != nil || len(added.Images) != 1 {
		t.Fatalf("%+v, %v", added, err)
	}
	if list, err := material.ParseRevocations(longer); err != nil || len(list.Images) != 2 || list.Image(tuftest.Digest([]byte("a")), "").Reason != "CVE-1" {
		t.Errorf("%s, %v", longer, err)
	}
	// Limited to one repository does not hold for another one, nor for all.
	data, _, err = publish.AddRevocations(nil, image("a", "shop/api", "CVE-1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"shop/web", ""} {
		_, added, err := publish.AddRevocations(data, image("a", repository, "CVE-1"))
		if err != nil || len(added.Images) != 1 {
			t.Errorf("%q: %+v, %v", repository, added, err)
		}
	}
	// A list that cannot be read is not written over.
	for _, bad := range []string{"", "{}", `{"version":2,"images":[],"certificates":[]}`} {
		if data, _, err := publish.AddRevocations([]byte(bad), image("a", "", "x")); !errors.Is(err, trust.ErrRevocations) || data != nil {
			t.Errorf("%q: %s, %v", bad, data, err)
		}
	}
	if _, _, err := publish.AddRevocations(nil, image("a", "", "")); !errors.Is(err, metadata.ErrInvalid) {
		t.Errorf("no reason: %v", err)
	}
}

// What a key on call stages reaches clients beside what targets lists, and cannot be anything but a refusal.
func TestOnCallRevocationsReachClients(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	a := newAuthor(t)
	a.delegateRevocations()
	at := now.UTC().Truncate(time.Second)
	for role, path := range map[string]string{"targets": material.RevocationsName, publish.RevocationsRole: publish.OnCallRevocations} {
		data, _, err := publish.AddRevocations(nil, &material.Revocations{Images: []material.RevokedImage{
			{Digest: tuftest.Digest([]byte(role)), Reason: "CVE-1", Time: at},
		}})
		if err != nil {
			t.Fatal(err)
		}
		a.stage(role, path, string(data))
	}
	a.publish(g)
	view, err := refreshAt(t, g, a)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := view.Revocations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"targets", publish.RevocationsRole} {
		if revoked.Image(tuftest.Digest([]byte(role)), "shop/api") == nil {
			t.Errorf("clients do not see what %s revokes: %+v", role, revoked)
		}
	}
}
