package verify_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/verify"
)

// TestNothingIsLeft ends verifications at each of their requests: the caller gives up
// while the registry says nothing, or the registry cuts the connection. No goroutine
// and no descriptor is left. It is not parallel: what is open in the process is counted.
func TestNothingIsLeft(t *testing.T) {
	tuftest.NothingLeft(t, func(t *testing.T) {
		w, _ := good(t, withReferrers)
		w.retries = -1
		w.publish()
		if r := w.verify(":1.0"); r.Err != nil {
			t.Fatal(r.Err)
		}
		requests := len(w.requests())
		for at := range requests {
			for _, cut := range []bool{true, false} {
				w.endAt(t, int64(at), cut)
			}
		}
		w.registry.Intercept(nil)
		if r := w.verify(":1.0"); r.Err != nil {
			t.Error(r.Err)
		}
	})
}

// endAt verifies as a new process, whose request at is the last one that is answered
// well: those that follow are cut, or wait until the caller gives up.
func (w *world) endAt(t *testing.T, at int64, cut bool) {
	t.Helper()
	w.state = t.TempDir()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	var n atomic.Int64
	w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case n.Add(1) <= at:
			next.ServeHTTP(rw, r)
		case cut:
			panic(http.ErrAbortHandler)
		default:
			giveUp()
			<-r.Context().Done()
		}
	})
	ref, _ := w.image(":1.0")
	r := must(verify.New(w.options())).Image(ctx, ref, nil)
	if r.Err == nil || !cut && !errors.Is(r.Err, context.Canceled) {
		t.Errorf("after %d requests, cut %v: %v", at, cut, r.Err)
	}
}

// What one image was given up over is asked again for the next one, of the same trusts.
func TestGivenUpIsNotKept(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.publish()
	// Each file by a request of its own, so that each can be the last one.
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(t, w.repo.Files(), tuftest.PackOptions{NoInline: true}))
	w.registry.Reset()
	if r := w.verify(":1.0"); r.Err != nil {
		t.Fatal(r.Err)
	}
	image, _ := w.image(":1.0")
	for at := range int64(len(w.requests())) {
		w.state = t.TempDir()
		v := must(verify.New(w.options()))
		ctx, giveUp := context.WithCancel(t.Context())
		var n atomic.Int64
		w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if n.Add(1) <= at {
				next.ServeHTTP(rw, r)
				return
			}
			giveUp()
			<-r.Context().Done()
		})
		if r := v.Image(ctx, image, nil); !errors.Is(r.Err, context.Canceled) {
			t.Errorf("after %d requests: %v", at, r.Err)
		}
		giveUp()
		w.registry.Intercept(nil)
		if r := v.Image(t.Context(), image, nil); r.Err != nil {
			t.Errorf("after one that was given up after %d requests: %v", at, r.Err)
		}
	}
}
