package doctor_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/doctor"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// behaviour is a way in which a registry differs: it answers a request itself, or not.
type behaviour func(w http.ResponseWriter, r *http.Request) (answered bool)

func refuse(status int, when func(r *http.Request) bool) behaviour {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !when(r) {
			return false
		}
		w.WriteHeader(status)
		return true
	}
}

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
}

// body looks at what is sent, and puts it back.
func body(r *http.Request) []byte {
	data, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(data))
	return data
}

// keepsTags refuses a second manifest under a tag that has a prefix.
func keepsTags(prefix string) behaviour {
	seen := map[string]bool{}
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, tag, _ := strings.Cut(r.URL.Path, "/manifests/")
		if !isPut(r) || !strings.HasPrefix(tag, prefix) {
			return false
		}
		if seen[tag] {
			w.WriteHeader(http.StatusConflict)
			return true
		}
		seen[tag] = true
		return false
	}
}

func deletes(r *http.Request) bool { return r.Method == http.MethodDelete }

func examine(t *testing.T, g *tuftest.Registry, client ociremote.Options, o doctor.Options) *doctor.Report {
	t.Helper()
	client.PlainHTTP, client.Base, client.Retries = true, g.Client().Transport, -1
	c, err := ociremote.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	if o.Repository, err = c.Repository(t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: "acme/trust"}, true); err != nil {
		t.Fatal(err)
	}
	r, err := doctor.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRegistry shows a registry to the doctor that differs in one thing, and wants just that to be seen.
func TestRegistry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		registry tuftest.RegistryOptions
		acts     behaviour
		client   ociremote.Options
		o        doctor.Options
		large    bool     // manifests of all sizes are taken
		checks   []string // "name status part of what was found"
		layout   string
		err      error
		left     bool
	}{
		"all that can be wished": {
			registry: tuftest.RegistryOptions{ETag: true}, large: true, layout: "default",
			checks: []string{
				"reachable ok answers within", "tag list ok", "push ok", "layout default ok", "tag overwrite ok", "history tags ok can be moved",
				"manifest size ok 4 MiB", "blob mount ok", "delete tags ok", "delete manifests ok", "referrers ok has the referrers API",
				"etag ok not sent again", "metering ok does not say", "against the registry ok agrees", "variant ok default",
			},
		},
		"with tokens": {registry: tuftest.RegistryOptions{Token: true}, layout: "default", checks: []string{"push ok", "delete tags ok tags can"}},
		"no delete": {
			acts: refuse(http.StatusMethodNotAllowed, deletes), layout: "default", left: true,
			checks: []string{"delete tags ok not all tags", "delete manifests ok cannot be deleted"},
		},
		"immutable history": {acts: keepsTags("tuf.v"), layout: "default", checks: []string{"tag overwrite ok", "history tags ok are immutable"}},
		"immutable tags": {
			acts: keepsTags("tuf"), layout: "default", err: doctor.ErrUnfit,
			checks: []string{"tag overwrite fail cannot be moved", "history tags ok are immutable"},
		},
		"a tag that stays in silence": {
			acts: func(w http.ResponseWriter, r *http.Request) bool {
				if isPut(r) && strings.Contains(r.URL.Path, "/tuf.doctor-") && strings.Contains(string(body(r)), `-2"`) {
					w.WriteHeader(http.StatusCreated)
					return true
				}
				return false
			},
			layout: "default", err: doctor.ErrUnfit, checks: []string{"tag overwrite fail keeps the old one"},
		},
		"no history tags": {
			acts:   refuse(http.StatusForbidden, func(r *http.Request) bool { return isPut(r) && strings.Contains(r.URL.Path, "/tuf.v") }),
			layout: "default", err: doctor.ErrUnfit, checks: []string{"history tags fail cannot be made"},
		},
		"no referrers": {registry: tuftest.RegistryOptions{NoReferrers: true}, layout: "default", checks: []string{"referrers ok kept in a tag", "etag ok no ETag"}},
		"small manifests": {
			acts:  refuse(http.StatusRequestEntityTooLarge, func(r *http.Request) bool { return isPut(r) && len(body(r)) > 256<<10 }),
			large: true, layout: "default", checks: []string{"manifest size ok up to 256 kB are taken; 1 MiB"},
		},
		"very small manifests": {
			acts:   refuse(http.StatusRequestEntityTooLarge, func(r *http.Request) bool { return isPut(r) && len(body(r)) > 64<<10 }),
			layout: "nodata", checks: []string{"manifest size warn 200 KiB", "variant ok nodata fits"},
		},
		"no data": {
			acts:   refuse(http.StatusMethodNotAllowed, func(r *http.Request) bool { return isPut(r) && strings.Contains(string(body(r)), `"data"`) }),
			layout: "nodata", checks: []string{"layout default warn 405", "layout nodata ok", "manifest size ok 200 KiB", "variant ok nodata"},
		},
		"an allow-list of types": {
			acts:   refuse(http.StatusBadRequest, func(r *http.Request) bool { return isPut(r) && strings.Contains(string(body(r)), `"artifactType"`) }),
			layout: "gitlab", checks: []string{"layout default warn 400", "layout nodata warn", "layout gitlab ok"},
		},
		"no artifacts at all": {
			acts: refuse(http.StatusBadRequest, isPut), err: doctor.ErrUnfit,
			checks: []string{"variant fail no variant", "tag overwrite skipped", "delete tags skipped"},
		},
		"manifests that come back otherwise": {
			acts: func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				_, _ = w.Write([]byte(`{"schemaVersion":2}`))
				return true
			},
			err: doctor.ErrUnfit, checks: []string{"layout default warn other bytes", "variant fail no variant"}, left: true,
		},
		"no right to push": {
			acts:   refuse(http.StatusForbidden, func(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }),
			checks: []string{"push warn 403", "tag overwrite skipped", "delete manifests skipped", "referrers ok", "variant skipped"},
		},
		"no credentials": {
			registry: tuftest.RegistryOptions{Basic: true}, err: &ociremote.AuthError{},
			checks: []string{"reachable fail 401"},
		},
		"read only": {
			o:      doctor.Options{ReadOnly: true},
			checks: []string{"push skipped", "tag list ok", "referrers ok"},
		},
		"an hour behind": {
			o:   doctor.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }, ReadOnly: true},
			err: doctor.ErrClock, checks: []string{"against the registry fail behind"},
		},
		"an hour ahead": {
			o:   doctor.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }, ReadOnly: true},
			err: doctor.ErrClock, checks: []string{"against the registry fail ahead"},
		},
		"two minutes ahead": {
			o:      doctor.Options{Now: func() time.Time { return time.Now().Add(2 * time.Minute) }, ReadOnly: true},
			checks: []string{"against the registry ok ahead"},
		},
		"counted requests": {
			acts: func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("RateLimit-Remaining", "99;w=21600")
				return false
			},
			layout: "default", checks: []string{"metering warn 99;w=21600"},
		},
		"down": {
			acts: refuse(http.StatusServiceUnavailable, func(*http.Request) bool { return true }), err: &ociremote.TransportError{},
			checks: []string{"reachable fail 503"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := tuftest.NewRegistry(t, c.registry)
			turn := make(chan struct{}, 1)
			g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				turn <- struct{}{}
				answered := c.acts != nil && c.acts(w, r)
				<-turn
				switch {
				case answered:
				case !c.large && isPut(r) && r.ContentLength > 210<<10: // spares time
					w.WriteHeader(http.StatusRequestEntityTooLarge)
				default:
					next.ServeHTTP(w, r)
				}
			})
			r := examine(t, g, c.client, c.o)
			for _, want := range c.checks {
				sees(t, r, want)
			}
			if r.Layout != c.layout {
				t.Errorf("layout %q, want %q", r.Layout, c.layout)
			}
			if err := r.Err(); !matches(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if (len(r.Left) > 0) != c.left {
				t.Errorf("left %v", r.Left)
			}
			onlyOwnTags(t, g, r)
		})
	}
}

// matches compares by value or by type.
func matches(err, want error) bool {
	switch want.(type) {
	case nil:
		return err == nil
	case *ociremote.AuthError:
		_, ok := errors.AsType[*ociremote.AuthError](err)
		return ok
	case *ociremote.TransportError:
		_, ok := errors.AsType[*ociremote.TransportError](err)
		return ok
	}
	return errors.Is(err, want)
}

// sees looks for "NAME STATUS TEXT" among the checks.
func sees(t *testing.T, r *doctor.Report, want string) {
	t.Helper()
	for _, c := range r.Checks {
		rest, ok := strings.CutPrefix(want, c.Name+" "+string(c.Status))
		if ok && strings.Contains(c.Found, strings.TrimSpace(rest)) {
			if c.Status == doctor.Fail && c.Err == nil {
				t.Errorf("%s fails for no reason", c.Name)
			}
			return
		}
	}
	t.Errorf("no check %q in %+v", want, r.Checks)
}

// onlyOwnTags: no request changes anything but what the doctor made, and nothing of that stays where it can go.
func onlyOwnTags(t *testing.T, g *tuftest.Registry, r *doctor.Report) {
	t.Helper()
	var made []string
	for _, q := range g.Requests() {
		_, name, ok := strings.Cut(q.Path, "/manifests/")
		if !ok || q.Method == http.MethodGet || q.Method == http.MethodHead {
			continue
		}
		if !strings.HasPrefix(name, "tuf.doctor-") && !strings.HasPrefix(name, "tuf.v0-doctor-") && !strings.HasPrefix(name, "sha256:") {
			t.Errorf("%s %s", q.Method, q.Path)
		}
		if q.Method == http.MethodPut && !slices.Contains(made, name) {
			made = append(made, name)
		}
	}
	if r.ReadOnly && len(made) > 0 {
		t.Errorf("wrote %v", made)
	}
	for _, name := range made {
		if _, there := g.Manifest("acme/trust", name); there && !slices.Contains(r.Left, name) {
			t.Errorf("%s stays, and is not said to", name)
		}
	}
}
