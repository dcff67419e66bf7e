package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// heardOneIn is how many of the lies of a catalogue are told once, which costs most of
// the time: one in so many.
var heardOneIn = tuftest.Scale(36, 12, 1)

// lied is what a client makes of a lie: an error of one of these kinds or, without
// any, the honest content.
type lied struct {
	is []error
	// typed is an error type that has no sentinel.
	typed func(error) bool
	// patience is how long a client tries that has to give up; 0: long enough.
	patience time.Duration
	// old: a client with a state believes that nothing has changed.
	old bool
}

func (l lied) harmless() bool { return len(l.is) == 0 && l.typed == nil }

func (l lied) check(t *testing.T, err error) {
	t.Helper()
	if l.typed != nil && !l.typed(err) {
		t.Errorf("error %v (%T)", err, err)
	}
	for _, is := range l.is {
		if !errors.Is(err, is) {
			t.Errorf("error %v, want %q", err, is)
		}
	}
	if err != nil && len(err.Error()) > 4096 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// isTransport and isAuth are the types of ociremote that have no sentinel.
func isTransport(err error) bool { _, ok := errors.AsType[*ociremote.TransportError](err); return ok }
func isAuth(err error) bool      { _, ok := errors.AsType[*ociremote.AuthError](err); return ok }

// course takes one consumer with a state through many lies. Each is told of a version
// that the consumer does not know yet.
type course struct {
	repo  *tuftest.Repo
	place *tuftest.Place
	state string
	web   ociremote.Options
}

func newCourse(t *testing.T, place *tuftest.Place, o ociremote.Options) *course {
	t.Helper()
	o.Username, o.Password, o.Retries = "user", "password", -1
	c := &course{repo: tuftest.NewRepo(t, tuftest.RepoOptions{}), place: place, state: t.TempDir(), web: o}
	c.place.Put(c.repo.Files(), tuftest.PackOptions{})
	if _, err := c.refresh(t, c.state, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

// plainCourse is one without TLS.
func plainCourse(t *testing.T, kind tuftest.Kind) *course {
	t.Helper()
	return newCourse(t, tuftest.NewPlace(t, kind), ociremote.Options{})
}

// refresh is that of a new process.
func (c *course) refresh(t *testing.T, state string, patience time.Duration) (*trust.View, error) {
	t.Helper()
	source, err := fetcher.ParseSource(c.place.Source())
	if err != nil {
		t.Fatal(err)
	}
	web, err := ociremote.NewClient(c.web)
	if err != nil {
		t.Fatal(err)
	}
	defer web.HTTP().CloseIdleConnections()
	o := trust.Options{Source: source, StateDir: state, Now: c.repo.Now, Client: web}
	if patience > 0 {
		o.Limits = trust.Limits{Operation: patience, StallWindow: 50 * time.Millisecond}
	}
	client, err := trust.New(c.repo.RootBytes(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return client.Refresh(ctx)
}

// stored is the state as it lies on disk, but for what says where it came from.
func (c *course) stored(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(c.state, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" || e.Name() == "source.json" || e.Name() == "bundle.json" {
			return err
		}
		data, err := os.ReadFile(name)
		files[strings.TrimPrefix(name, c.state)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// hear lets a client without a state, and the one with it, hear a lie about a new
// version, and then the truth.
func (c *course) hear(t *testing.T, lie tuftest.Lie, want lied) {
	t.Helper()
	before := c.stored(t)
	c.repo.Publish()
	c.place.Put(c.repo.Files(), tuftest.PackOptions{})
	lie.Tell(t, c.place, c.repo)
	_, err := c.refresh(t, "", want.patience)
	want.check(t, err)
	if want.harmless() && err != nil {
		t.Errorf("without a state: %v", err)
	}
	view, err := c.refresh(t, c.state, want.patience)
	switch newest := c.repo.Version("timestamp"); {
	case want.old:
		newest--
		fallthrough
	case want.harmless():
		if err != nil {
			t.Errorf("with a state: %v", err)
		} else if got := view.Status().Timestamp.Version; got != newest {
			t.Errorf("timestamp v%d, want v%d", got, newest)
		}
	default:
		want.check(t, err)
		c.onlyPublished(t, before)
	}
	// The truth.
	if k := c.place.Kind(); k == tuftest.InRegistry || k == tuftest.OverHTTP {
		c.place.Intercept(nil)
	}
	c.place.Put(c.repo.Files(), tuftest.PackOptions{})
	view, err = c.refresh(t, c.state, 0)
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	if got := view.Status().Timestamp.Version; got != c.repo.Version("timestamp") {
		t.Errorf("afterwards timestamp v%d, want v%d", got, c.repo.Version("timestamp"))
	}
}

// onlyPublished fails the test if the state holds anything but what it held before and
// what was published.
func (c *course) onlyPublished(t *testing.T, before map[string]string) {
	t.Helper()
	published := map[string]bool{}
	for _, data := range c.repo.Files() {
		published[string(data)] = true
	}
	for name, data := range c.stored(t) {
		if before[name] != data && !published[data] {
			t.Errorf("%s was stored", name)
		}
	}
}

// hearAll takes one consumer a kind of source through the lies of a catalogue. Of the
// tests of each day, what all kinds can tell is told by one of them in turn; with the tag
// e2e it is told by each. Each lie has its expectation, and each
// expectation its lie.
func hearAll(t *testing.T, lies []tuftest.Lie, kinds []tuftest.Kind, begin func(*testing.T, tuftest.Kind) *course, expected func(tuftest.Kind) map[string]lied) {
	t.Helper()
	told := map[string]bool{}
	for _, lie := range lies {
		if told[lie.Name] {
			t.Errorf("two lies are called %q", lie.Name)
		}
		told[lie.Name] = true
	}
	for at, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			want := expected(kind)
			for name := range want {
				if !told[name] {
					t.Errorf("there is no lie %q", name)
				}
			}
			c := begin(t, kind)
			for i, lie := range lies {
				turn := heardOneIn == 1 || len(lie.Kinds) < len(kinds) || i/heardOneIn%len(kinds) == at
				if lie.In(kind) && turn && i%heardOneIn == 0 {
					t.Run(lie.Name, func(t *testing.T) { c.hear(t, lie, want[lie.Name]) })
				}
			}
		})
	}
}

// wireLies says what a client makes of each lie of the catalogue: of a registry, and of
// a web server.
func wireLies(kind tuftest.Kind) map[string]lied {
	transport := lied{typed: isTransport}
	auth := lied{typed: isAuth}
	redirect := lied{typed: isTransport, is: []error{ociremote.ErrRedirect}}
	inMetadata := lied{is: []error{trust.ErrMalformed}}
	notModified := lied{typed: isTransport, old: true}
	body, limit := heardMalformed, lied{is: []error{ociremote.ErrTooLarge}}
	if kind == tuftest.OverHTTP {
		// What is wrong is found in the metadata, and no type is expected of it.
		body, notModified = inMetadata, transport
	}
	expected := map[string]lied{}
	groups := []struct {
		want  lied
		names string
	}{
		{heardHonest, `
			content-type-of-100-kilobytes digest-header-missing etag-of-100-kilobytes etag-of-something-else cookies
			warning-with-terminal-escapes warnings-1000 link-to-another-host refresh-to-another-host
			alternative-service-at-another-host content-location-at-another-host date-of-the-year-1 upgrade-offered
			said-to-be-encoded-with-gzip said-to-be-encoded-with-br said-to-be-encoded-with-nonsense trailers-that-lie
			blob-redirect-to-another-host tag-that-moves-at-every-request head-and-get-that-disagree`},
		{notModified, `status-304-unasked status-304-with-another-etag`},
		{heardAbsent, `status-404-for-everything`},
		{body, `
			status-200-without-a-body digest-header-of-something-else body-one-byte-short body-one-byte-long
			body-with-one-bit-changed body-of-a-page encoded-with-gzip encoded-with-gzip-twice encoded-with-deflate
			encoded-with-a-gzip-bomb length-and-chunks chunked-with-trailers-that-lie`},
		{limit, `body-without-an-end length-of-an-exabyte chunked-without-end`},
		{lied{is: []error{fetcher.ErrTooSlow}, patience: time.Minute}, `body-of-one-byte-at-a-time body-that-stops`},
		{lied{is: []error{fetcher.ErrTimeout}, patience: 200 * time.Millisecond}, `head-of-one-byte-at-a-time connection-that-says-nothing`},
		{redirect, `
			redirect-to-itself redirects-1000 redirect-to-a-file redirect-to-ftp redirect-to-a-script redirect-to-data
			redirect-to-a-link-local-address redirect-to-the-unspecified-address redirect-with-credentials redirect-to-100-kilobytes challenge-twice
			challenge-of-a-realm-at-another-host challenge-of-a-realm-with-credentials challenge-of-a-realm-of-100-kilobytes
			redirect-to-a-private-name-without-a-scheme token-redirected-to-another-host token-redirected-to-itself`},
		{auth, `
			status-403-with-the-content status-401-without-a-challenge challenge-basic-without-end challenge-unknown challenge-two-in-one
			challenge-of-a-realm-that-is-a-file challenge-of-a-realm-that-is-a-socket challenge-of-a-realm-at-a-link-local-address
			challenge-of-a-realm-that-is-a-path token-refused token-that-needs-a-token token-that-never-helps token-empty
			token-garbage token-missing token-with-a-line-break token-of-100-kilobytes token-without-end`},
		{heardLost, `tag-that-moves-and-loses-its-blobs`},
	}
	for _, group := range groups {
		for name := range strings.FieldsSeq(group.names) {
			expected[name] = group.want
		}
	}
	if kind == tuftest.OverHTTP {
		for name := range strings.FieldsSeq(`
			content-type-of-a-page content-type-of-an-index content-type-of-json content-type-garbage content-type-missing redirect-to-another-host`) {
			expected[name] = heardHonest
		}
		expected["body-of-a-page-for-every-path"], expected["http-1-0-without-a-length"] = inMetadata, inMetadata
		expected["redirect-to-a-private-name-without-a-scheme"] = transport
	} else {
		expected["content-type-of-an-index"], expected["redirect-to-another-host"], expected["redirect-to-nowhere"] = heardForeign, redirect, redirect
	}
	// Everything else is no answer that a client understands.
	for _, lie := range tuftest.Wires() {
		if _, said := expected[lie.Name]; !said && lie.In(kind) {
			expected[lie.Name] = transport
		}
	}
	return expected
}

// TestLiesOnTheWire tells every lie that can be told in the answers to requests, as
// TestLiesInBundles does those in bundles.
func TestLiesOnTheWire(t *testing.T) {
	t.Parallel()
	hearAll(t, tuftest.Wires(), tuftest.NetworkKinds, plainCourse, wireLies)
}
