package trust_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

func TestIsUnreachable(t *testing.T) {
	t.Parallel()
	transport := func(status int, err error) error {
		return fmt.Errorf("reg: %w", &ociremote.TransportError{Host: "reg", Status: status, Err: err})
	}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{transport(0, &net.DNSError{Err: "no such host"}), true},
		{transport(0, &net.OpError{Op: "dial", Err: errors.New("refused")}), true},
		{transport(0, x509.UnknownAuthorityError{}), true},
		{transport(0, context.DeadlineExceeded), true},
		{transport(500, nil), true},
		{transport(503, nil), true},
		{fmt.Errorf("x: %w", fetcher.ErrTimeout), true},
		{fmt.Errorf("x: %w", fetcher.ErrTooSlow), true},
		{&trust.UnreachableError{}, true},

		{nil, false},
		{errors.New("anything"), false},
		{transport(0, context.Canceled), false},
		{transport(0, ociremote.ErrRedirect), false},
		{transport(200, errors.New("a login page")), false},
		{transport(404, nil), false},
		{transport(405, nil), false},
		{transport(429, nil), false},
		{&ociremote.AuthError{Host: "reg", Status: 401}, false},
		{&ociremote.AuthError{Host: "reg", Status: 403}, false},
		{&ociremote.AuthError{Host: "reg", Status: 401, Err: transport(0, errors.New("token"))}, false},
		{ociremote.ErrForeign, false},
		{fetcher.ErrNoRepository, false},
		{fetcher.ErrLostBlob, false},
		{&ociremote.MalformedError{What: "bundle", Err: transport(500, nil)}, false},
		{&trust.VerificationError{Kind: trust.ErrRollback, Err: transport(500, nil)}, false},
	} {
		if got := trust.IsUnreachable(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}

// A home that cannot be reached is left alone for five minutes, by all processes, and
// no longer; whoever asks it all the same, and reaches it, ends that.
func TestUnreachableHomeIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	try := func(edits ...func(*trust.Options)) error {
		_, err := w.client(edits...).RefreshIfReachable(t.Context())
		return err
	}
	asked := func(want int) {
		t.Helper()
		if w.at.requests() != want {
			t.Errorf("%d requests, want %d", w.at.requests(), want)
		}
		w.at.reset()
	}
	remembered := func(err error) *trust.UnreachableError {
		t.Helper()
		e, ok := errors.AsType[*trust.UnreachableError](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		return e
	}
	for _, refusal := range []error{&ociremote.AuthError{Status: 403}, &ociremote.TransportError{Status: 429}} {
		w.at.fail = refusal
		for range 2 {
			if err := try(); !errors.Is(err, refusal) {
				t.Errorf("%v: %v", refusal, err)
			}
		}
		asked(2)
	}
	w.at.fail = &ociremote.TransportError{Host: "reg", Err: errors.New("no such host")}
	if err := try(); !errors.Is(err, w.at.fail) {
		t.Error(err)
	}
	asked(1)
	at := w.now
	e := remembered(try())
	if !e.At.Equal(at) || !e.Until.Equal(at.Add(5*time.Minute)) || e.Source != "memory:tuf" || e.Reason != "memory:tuf: reg: no such host" {
		t.Errorf("%+v", e)
	}
	w.now = at.Add(5*time.Minute - time.Second)
	remembered(try())
	asked(0)
	// Not for another home, nor after the time, nor by a clock that is behind.
	elsewhere := newWorld(t, tuftest.RepoOptions{})
	err := try(func(o *trust.Options) { o.Source = trust.RepositorySource(elsewhere.at, channel).Labelled("elsewhere") })
	refused(t, err, trust.ErrWrongRoot)
	w.now = at.Add(-time.Minute)
	_ = try()
	w.now = at.Add(5 * time.Minute)
	_ = try()
	asked(2)
	// Whoever does not care about it asks.
	w.at.fail = nil
	remembered(try())
	for range 2 { // also if the bundle is known
		if _, err := w.refresh(); err != nil {
			t.Fatal(err)
		}
		asked(1)
		if err := try(); err != nil {
			t.Error(err)
		}
		asked(1)
		w.at.fail = &ociremote.TransportError{Host: "reg", Status: 502}
		_ = try()
		w.at.fail = nil
		remembered(try())
		asked(1)
	}
}

func TestNoHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	c := w.client(func(o *trust.Options) { o.Source = trust.Source{} })
	if c.HasHome() || !w.client().HasHome() {
		t.Error("home is not told from none")
	}
	for _, refresh := range []func(context.Context) (*trust.View, error){c.Refresh, c.RefreshIfReachable} {
		if _, err := refresh(t.Context()); !errors.Is(err, trust.ErrNoHome) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.LoadFrom(t.Context()); !errors.Is(err, trust.ErrNoState) {
		t.Errorf("%v", err)
	}
	if _, err := c.RefreshFrom(t.Context(), copyOf(t, w.Files())); err != nil {
		t.Error(err)
	}
}
