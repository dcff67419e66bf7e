package verify_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// What is read of an image is held to the time, the rate and the redirects of the
// trust that decides about it, also where the caller sets no deadline. Of two that
// decide, the tighter limits hold, whichever comes first.
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
		"a manifest that comes slowly": {
			"/manifests/1.0",
			trust.Limits{MinThroughput: 1 << 20, StallWindow: 200 * time.Millisecond},
			func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				for range 100 { // for two seconds 50 times as much as is asked for by default
					_, _ = rw.Write(make([]byte, 1<<10))
					_ = http.NewResponseController(rw).Flush()
					select {
					case <-r.Context().Done():
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			}, "the limit minThroughput",
		},
		"redirects without end": {
			"/manifests/1.0",
			trust.Limits{Redirects: 2},
			func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path, http.StatusFound) }, "the limit redirects is 2",
		},
	} {
		for order, limits := range map[string][]trust.Limits{
			"alone": {tt.limits}, "first": {tt.limits, {Operation: 5 * time.Second}}, "second": {{Operation: 5 * time.Second}, tt.limits},
		} {
			t.Run(name+"/"+order, func(t *testing.T) {
				t.Parallel()
				w, _ := good(t, withReferrers)
				w.publish()
				var entries []trust.Entry
				for i, l := range limits {
					e := w.entry
					e.Name, e.Limits = fmt.Sprint("trust ", i), l
					entries = append(entries, e)
				}
				var asked atomic.Int64
				w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
					if !strings.Contains(r.URL.Path, tt.path) {
						next.ServeHTTP(rw, r)
						return
					}
					asked.Add(1)
					tt.answer(rw, r)
				})
				image, _ := w.image(":1.0")
				r := must(verify.New(w.options(entries...))).Image(t.Context(), image, nil)
				if r.Err == nil || !strings.Contains(r.Err.Error(), tt.want) {
					t.Errorf("%v, want %q", r.Err, tt.want)
				}
				if n := asked.Load(); tt.limits.Redirects > 0 && n != 3 {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

// As many referrers are listed as the trust says, or as signatures are looked at; where
// two decide, as the one says that lists more.
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
		second := w.entry
		second.Name, second.Limits.Referrers = "second", 2
		for _, entries := range [][]trust.Entry{{w.entry, second}, {second, w.entry}} {
			o := w.options(entries...)
			o.MaxSignatures = 1
			image, _ := w.image(":1.0")
			if r := must(verify.New(o)).Image(t.Context(), image, nil); r.Err != nil || r.Verdicts[0].MoreSignatures != more {
				t.Errorf("limit %d beside 2: %v, %+v", limit, r.Err, r.Verdicts)
			}
		}
	}
	// More signatures than referrers are looked at: so many are listed then.
	w.entry.Limits.Referrers = 1
	if r := w.verify(":1.0", func(o *verify.Options) { o.MaxSignatures = 3 }); r.Err != nil || r.Verdicts[0].MoreSignatures {
		t.Errorf("of three signatures: %v, %+v", r.Err, r.Verdicts)
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
