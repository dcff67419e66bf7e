package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

func (s *shelf) sync(repository string, o publish.SyncOptions) (*publish.SyncPlan, error) {
	s.t.Helper()
	ref := ociremote.ImageReference{Host: s.Host(), Repository: repository}
	return publish.PlanSync(s.t.Context(), remote(s.t, s.Registry, repository), ref, o)
}

// summary is a plan in one line.
func summary(p *publish.SyncPlan) string {
	var out []string
	for _, i := range p.Add {
		out = append(out, "+"+i.Tag)
	}
	for _, m := range p.Moved {
		mark := "~"
		if m.Image != nil {
			mark = "!"
		}
		out = append(out, mark+m.Tag)
	}
	for _, g := range p.Gone {
		out = append(out, "-"+g.Tag)
	}
	for _, tag := range p.Unchanged {
		out = append(out, "="+tag)
	}
	for _, tag := range p.Skipped {
		out = append(out, "?"+tag.Tag)
	}
	return strings.Join(out, " ")
}

func TestPlanSync(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	same := s.put("api", "v1", manifest("one"))
	s.put("api", "v2", manifest("moved"))
	s.put("api", "v3", manifest("three"))
	s.put("api", "latest", manifest("three"))
	was := tuftest.Digest(manifest("two"))
	signed := map[string]string{"v1": same, "v2": was, "v0": was, "other": was}

	s.Reset()
	plan, err := s.sync("api", publish.SyncOptions{Tags: "v*", Signed: signed})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(plan), "+v3 ~v2 -v0 =v1"; got != want {
		t.Errorf("plan %s, want %s", got, want)
	}
	// One list, a GET for what is new, a HEAD for what is signed.
	if n := len(s.Requests()); n != 4 {
		t.Errorf("%d requests: %+v", n, s.Requests())
	}
	// A moved tag is not among the entries unless it is named.
	if e := plan.Entries(); len(e) != 1 || e[0].Tag != "v3" || e[0].Replace {
		t.Errorf("entries %+v", e)
	}
	plan, err = s.sync("api", publish.SyncOptions{Tags: "v*", Signed: signed, Replace: []string{"v2", "v1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(plan), "+v3 !v2 -v0 =v1"; got != want {
		t.Errorf("plan %s, want %s", got, want)
	}
	e := plan.Entries()
	if len(e) != 2 || e[1].Tag != "v2" || !e[1].Replace || "sha256:"+e[1].SHA256 != tuftest.Digest(manifest("moved")) {
		t.Errorf("entries %+v", e)
	}
	for _, tag := range []string{"v3", "v9", "latest"} {
		_, err := s.sync("api", publish.SyncOptions{Tags: "v*", Signed: signed, Replace: []string{tag}})
		if !errors.Is(err, metadata.ErrInvalid) {
			t.Errorf("replace %s: %v", tag, err)
		}
	}
}

// Trust, signatures and other artifacts have tags too, and are no images.
func TestPlanSyncSkips(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a := manifest("a")
	d := s.put("api", "1", a)
	chart := strings.Replace(string(a), ocispec.MediaTypeImageConfig, "application/vnd.cncf.helm.config.v1+json", 1)
	typed := strings.Replace(string(a), `"config"`, `"artifactType":"application/vnd.tufoci.bundle.v1","config"`, 1)
	subject := strings.Replace(string(a), `"config"`, fmt.Sprintf(`"subject":{"mediaType":%q,"digest":%q,"size":%d},"config"`, ocispec.MediaTypeImageManifest, d, len(a)), 1)
	for tag, data := range map[string]string{
		"tuf": string(a), "tuf.v12": string(a), "tuf.0123abcd": string(a), "sha256-" + d[7:]: string(a),
		"chart": chart, "typed": typed, "signature": subject,
	} {
		s.put("api", tag, []byte(data))
	}
	plan, err := s.sync("api", publish.SyncOptions{Tags: "*"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(plan), "+1 ?chart ?sha256-"+d[7:]+" ?signature ?tuf ?tuf.0123abcd ?tuf.v12 ?typed"; got != want {
		t.Errorf("plan %s, want %s", got, want)
	}
}

// Only what verifies is staged, also of tags that are to be replaced; that it cannot be asked is no answer.
func TestPlanSyncVerified(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	good := s.put("api", "good", manifest("good"))
	s.put("api", "bad", manifest("bad"))
	s.put("api", "moved", manifest("moved"))
	o := publish.SyncOptions{
		Tags: "*", Signed: map[string]string{"moved": good}, Replace: []string{"moved"},
		Verify: func(_ context.Context, ref ociremote.ImageReference) error {
			if ref.Digest.String() == good && ref.Tag == "good" {
				return nil
			}
			return errors.New("no signature")
		},
	}
	plan, err := s.sync("api", o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(plan), "+good ~moved ?bad ?moved"; got != want || !plan.Skipped[0].Refused {
		t.Errorf("plan %s, want %s", got, want)
	}
	if e := plan.Entries(); len(e) != 1 || e[0].Tag != "good" {
		t.Errorf("entries %+v", e)
	}
	o.Verify = func(context.Context, ociremote.ImageReference) error {
		return &ociremote.TransportError{Host: "h", Status: 503}
	}
	if _, err := s.sync("api", o); err == nil {
		t.Error("a plan without an answer")
	}
}

func TestPlanSyncRefuses(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put("api", "1", manifest("a"))
	if _, err := s.sync("api", publish.SyncOptions{Tags: "[", Signed: nil}); !errors.Is(err, metadata.ErrInvalid) {
		t.Errorf("bad pattern: %v", err)
	}
	// An empty answer would propose to remove everything.
	s.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(w, r) })
	if _, err := s.sync("nothing", publish.SyncOptions{Tags: "*", Signed: map[string]string{"1": "x"}}); !errors.Is(err, publish.ErrNoImage) {
		t.Errorf("no such repository: %v", err)
	}
	s.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/manifests/1") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
	for _, signed := range []map[string]string{nil, {"1": "x"}} {
		if plan, err := s.sync("api", publish.SyncOptions{Tags: "*", Signed: signed}); plan != nil || err == nil {
			t.Errorf("a refused request: %v, %v", plan, err)
		}
	}
}
