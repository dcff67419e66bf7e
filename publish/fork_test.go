package publish_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// retag moves a tag of the registry behind everybody's back.
func retag(t testing.TB, g *tuftest.Registry, tag, digest string) {
	t.Helper()
	manifest, ok := g.Manifest(repository, digest)
	if !ok {
		t.Fatalf("%s is gone", digest)
	}
	g.PutManifest(repository, tag, manifest)
}

// transplant copies what a tag names into another registry, where it then says
// that it was built on previous.
func transplant(t testing.TB, from *tuftest.Registry, tag string, to *tuftest.Registry, toTag, previous string) {
	t.Helper()
	manifest, _ := from.Manifest(repository, tag)
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	for _, desc := range append(m.Layers, m.Config) {
		data, _ := from.Blob(repository, desc.Digest.String())
		to.PutBlob(repository, data)
	}
	m.Annotations[ociremote.AnnotationPrevious] = previous
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	to.PutManifest(repository, toTag, manifest)
}

func wantFork(t testing.TB, err error, ours, theirs string) {
	t.Helper()
	wantErr(t, err, publish.ErrFork)
	e, ok := errors.AsType[*publish.ForkError](err)
	if !ok || e.Ours != digest.Digest(ours) || e.Theirs != digest.Digest(theirs) || e.OursVersion == 0 || e.TheirsVersion == 0 {
		t.Errorf("evidence is %+v, want %s overwritten by %s", e, ours, theirs)
	}
}

// What a publishes is overwritten by b, who started from the same head.
func TestPublishReportsFork(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, test := range map[string]struct {
		role  string // of b's change
		more  int    // further publishes of b
		renew bool   // only snapshot and timestamp of b are new, at first
	}{
		"other targets":              {role: "", more: 0},
		"other role":                 {role: "team", more: 0},
		"nothing but a timestamp":    {renew: true},
		"other targets, moved on":    {role: "", more: 3},
		"other role, moved on":       {role: "team", more: 3},
		"only a timestamp, moved on": {renew: true, more: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := published(t)
			b := a.twin()
			start := g.Digest(repository, channel)
			a.stage("", "a", "of a")
			ours := a.publish(g).Digest.String()

			retag(t, g, channel, start)
			g.DeleteTag(repository, "tuf.v2")
			retag(t, g, "unrelated", ours)
			if test.renew {
				b.now = b.now.Add(6 * 24 * time.Hour)
			} else {
				b.stage(test.role, "team/b", "of b")
			}
			b.publish(g)
			for range test.more {
				b.stage("team", "team/more", b.now.String())
				b.now = b.now.Add(time.Minute)
				b.publish(g)
			}
			if test.more > 0 {
				g.DeleteTag(repository, start) // what is older need not be there
			}

			theirs := g.Digest(repository, channel)
			for _, dry := range []bool{true, false} {
				g.Reset()
				_, err := a.try(t.Context(), g, publish.Options{DryRun: dry})
				wantFork(t, err, ours, theirs)
				if got := writes(g); len(got) != 0 {
					t.Errorf("written: %+v", got)
				}
			}
		})
	}
}

// Who gives up what was overwritten can go on from the head that is there.
func TestPublishAfterForkIsGivenUp(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	start := g.Digest(repository, channel)
	a.stage("", "a", "of a")
	a.publish(g)
	retag(t, g, channel, start)
	b.stage("", "b", "of b")
	b.publish(g)
	_, err := a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, publish.ErrFork)
	if err := a.ws.ResetAll(); err != nil {
		t.Fatal(err)
	}
	if result := a.publish(g); !result.Unchanged {
		t.Errorf("published %+v", result)
	}
	a.stage("", "a", "of a")
	a.publish(g)
	if content(t, g, a, "a") != "of a" || content(t, g, a, "b") != "of b" {
		t.Error("a change is missing")
	}
}

// No annotation hides that a published role has other bytes now.
func TestPublishReportsForkBehindForgedAncestor(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b, elsewhere := a.twin(), duplicate(t, g)
	a.stage("", "a", "of a")
	ours := a.publish(g).Digest.String()
	b.stage("", "b", "of b")
	b.publish(elsewhere)
	b.stage("team", "team/b", "of b")
	b.publish(elsewhere)
	transplant(t, elsewhere, channel, g, channel, ours)
	_, err := a.try(t.Context(), g, publish.Options{})
	wantFork(t, err, ours, g.Digest(repository, channel))
}

// A head that went back would be followed by versions that clients have seen.
func TestPublishReportsHeadThatWentBack(t *testing.T) {
	t.Parallel()
	for _, change := range []bool{true, false} {
		g, a := published(t)
		start := g.Digest(repository, channel)
		if change {
			a.stage("", "a", "of a")
		} else {
			a.now = a.now.Add(6 * 24 * time.Hour) // a timestamp, no more
		}
		ours := a.publish(g).Digest.String()
		retag(t, g, channel, start)
		_, err := a.try(t.Context(), g, publish.Options{})
		wantFork(t, err, ours, start)
	}
}

// Others may publish as often as they like, and some of it may be pruned.
func TestPublishAfterManyOthers(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, pruned := range []bool{false, true} {
		g, a := published(t)
		b := a.twin()
		for range 4 {
			b.now = b.now.Add(time.Minute)
			b.stage("team", "team/b", b.now.String())
			b.publish(g)
		}
		if pruned {
			g.DeleteTag(repository, g.Digest(repository, "tuf.v3"))
		}
		a.stage("", "a", "of a")
		var said warnings
		if _, err := a.try(t.Context(), g, publish.Options{Warn: said.add}); err != nil {
			t.Errorf("pruned %v: %v", pruned, err)
		}
		if strings.Contains(said.String(), "cannot tell") != pruned {
			t.Errorf("pruned %v: warnings: %s", pruned, &said)
		}
		if got := content(t, g, a, "a"); got != "of a" {
			t.Errorf("pruned %v: consumers see %q", pruned, got)
		}
	}
}

// The tag is overwritten right after it was written: the publisher is told,
// and keeps its changes.
func TestPublishReadsBack(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	start := g.Digest(repository, channel)
	b.stage("", "b", "of b")
	theirs := b.publish(g).Digest.String()
	retag(t, g, channel, start)
	a.stage("", "a", "of a")
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+channel) {
			retag(t, g, channel, theirs)
		}
	})
	_, err := a.try(t.Context(), g, publish.Options{})
	g.Intercept(nil)
	wantFork(t, err, g.Digest(repository, "tuf.v3"), theirs)
	_, err = a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, publish.ErrConflict)
}

// The tag moves on right after it was written, to what was built on it.
func TestPublishReadsBackWhatCameNext(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	a.stage("", "a", "of a")
	b.stage("team", "team/b", "of b")
	once := false
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if !once && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+channel) {
			once = true
			b.publish(g)
		}
	})
	if result := a.publish(g); result.HistoryTag != "tuf.v2" {
		t.Errorf("published as %s", result.HistoryTag)
	}
	if content(t, g, a, "a") != "of a" || content(t, g, a, "team/b") != "of b" {
		t.Error("a change is missing")
	}
}
