package verify_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// What is read of an image is held to the time, the rate and the redirects of the
// trust that decides about it, also where the caller sets no deadline.
func TestImageWithinLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path   string // what answers badly
		limits trust.Limits
		answer http.HandlerFunc
		want   string
	}{
		"a manifest that never comes": {
			"/manifests/1.0",
			trust.Limits{Operation: 300 * time.Millisecond},
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "took too long: more than 300ms, the limit operation",
		},
		"referrers that never come": {
			"/referrers/",
			trust.Limits{Operation: 300 * time.Millisecond},
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "took too long: more than 300ms, the limit operation",
		},
		"a manifest byte by byte": {
			"/manifests/1.0",
			trust.Limits{StallWindow: 100 * time.Millisecond},
			func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				_, _ = rw.Write([]byte("{"))
				_ = http.NewResponseController(rw).Flush()
				<-r.Context().Done()
			}, "the limit minThroughput",
		},
		"redirects without end": {
			"/manifests/1.0",
			trust.Limits{Redirects: 2},
			func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path, http.StatusFound) }, "the limit redirects is 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := good(t, withReferrers)
			w.entry.Limits = tt.limits
			w.publish()
			asked := 0
			w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if !strings.Contains(r.URL.Path, tt.path) {
					next.ServeHTTP(rw, r)
					return
				}
				asked++
				tt.answer(rw, r)
			})
			r := w.verify(":1.0")
			if r.Err == nil || !strings.Contains(r.Err.Error(), tt.want) {
				t.Errorf("%v, want %q", r.Err, tt.want)
			}
			if tt.limits.Redirects > 0 && asked != 3 {
				t.Errorf("%d requests", asked)
			}
		})
	}
}

// As many referrers are listed as the trust says, or as signatures are looked at.
func TestReferrersLimit(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	w.publish()
	w.sign(image)
	w.sign(image)
	for limit, more := range map[int64]bool{2: true, 3: false} {
		w.entry.Limits.Referrers = limit
		r := w.verify(":1.0", func(o *verify.Options) { o.MaxSignatures = 1 })
		if r.Err != nil || r.Verdicts[0].MoreSignatures != more {
			t.Errorf("limit %d: %v, %+v", limit, r.Err, r.Verdicts)
		}
	}
}

// A lookup that the limit visits has ended is no "nobody has signed it", which an
// image that needs no entry may pass with.
func TestEndedLookupLetsNothingPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.sign(image)
	w.repo.Delegate("targets", "team", []string{"images/*/*"}, false)
	w.entry.Require = []string{trust.RequireSignature}
	w.statement().RegistryScopes = []string{host + "/" + repository}
	w.publish()
	if r := w.verify(":1.0"); r.Err != nil {
		t.Fatal(r.Err)
	}
	w.entry.Limits.Visits = 1
	r := w.verify(":1.0")
	if over, ok := errors.AsType[*ociremote.LimitError](r.Err); !ok || over.Limit != "visits" {
		t.Errorf("%v", r.Err)
	}
}
