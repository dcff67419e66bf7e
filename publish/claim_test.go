package publish_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// die publishes up to the claim: the registry refuses the channel tag.
func die(t testing.TB, g *tuftest.Registry, a *author) {
	t.Helper()
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+channel) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
	if _, err := a.try(t.Context(), g, publish.Options{}); err == nil {
		t.Fatal("the publish that was to die succeeded")
	}
	g.Intercept(nil)
}

func TestPublishFinishesOwnClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	a.stage("", "more.txt", "more")
	die(t, g, a)
	claim := g.Digest(repository, "tuf.v2")
	a.now = a.now.Add(time.Second)
	result := a.publish(g)
	if g.Digest(repository, channel) != claim || !result.Unchanged || result.Digest.String() != claim || result.HistoryTag != "tuf.v2" {
		t.Errorf("the claim %s was not finished: %+v", claim, result)
	}
	if status, err := a.ws.Status(); err != nil || status.Published.Digest != claim {
		t.Errorf("the workspace has published %+v (%v)", status.Published, err)
	}
}

func TestPublishFinishesDeadClaimOfOthers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		age      time.Duration
		finished bool
	}{{4 * time.Minute, false}, {6 * time.Minute, true}} {
		g, a := published(t)
		b := a.twin()
		b.stage("team", "team/b", "of b")
		die(t, g, b)
		a.now = a.now.Add(test.age)
		a.stage("", "a", "of a")
		var said warnings
		result, err := a.try(t.Context(), g, publish.Options{Warn: said.add})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, g, a, "team/b") == "of b"; got != test.finished {
			t.Errorf("a claim %s old: finished is %v, want %v", test.age, got, test.finished)
		}
		if got := content(t, g, a, "a"); got != "of a" || result.HistoryTag != "tuf.v3" {
			t.Errorf("a claim %s old: consumers see %q, %s", test.age, got, result.HistoryTag)
		}
		if !strings.Contains(said.String(), "tuf.v2") && !test.finished {
			t.Errorf("warnings: %s", &said)
		}
	}
}

// Only a claim that was built on the head and that its clients take is ever
// finished; no claim is overwritten.
func TestPublishSkipsOtherClaims(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, damage := range map[string]func(t *testing.T, g *tuftest.Registry, m *ocispec.Manifest){
		"built on another head": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			m.Annotations[ociremote.AnnotationPrevious] = "sha256:" + strings.Repeat("0", 64)
		},
		"built on nothing": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			delete(m.Annotations, ociremote.AnnotationPrevious)
		},
		"without age": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			delete(m.Annotations, ocispec.AnnotationCreated)
		},
		"of the future": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			m.Annotations[ocispec.AnnotationCreated] = now.Add(time.Hour).Format(time.RFC3339)
		},
		"partial": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			m.Annotations[ociremote.AnnotationPartial] = "true"
		},
		"of a newer format": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			m.Annotations[ociremote.AnnotationVersion] = "2"
		},
		"without a role": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			drop(m, "metadata/2.team.json")
		},
		"without a target": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			drop(m, "targets/team/")
		},
		"another kind of artifact": func(_ *testing.T, _ *tuftest.Registry, m *ocispec.Manifest) {
			m.ArtifactType = "application/vnd.example"
		},
		"broken timestamp": func(t *testing.T, g *tuftest.Registry, m *ocispec.Manifest) {
			m.Layers = m.Layers[1:] // the inline layer would lie
			for i, l := range m.Layers {
				if l.Annotations[ocispec.AnnotationTitle] == "metadata/timestamp.json" {
					data, _ := g.Blob(repository, l.Digest.String())
					data = []byte(strings.Replace(string(data), `"version":`, `"version":1`, 1))
					m.Layers[i].Digest, m.Layers[i].Size = ocispec.DescriptorEmptyJSON.Digest.Algorithm().FromBytes(data), int64(len(data))
					g.PutBlob(repository, data)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := published(t)
			b := a.twin()
			b.stage("team", "team/b", "of b")
			die(t, g, b)
			var m ocispec.Manifest
			manifest, _ := g.Manifest(repository, "tuf.v2")
			if err := json.Unmarshal(manifest, &m); err != nil {
				t.Fatal(err)
			}
			damage(t, g, &m)
			manifest, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			g.PutManifest(repository, "tuf.v2", manifest)
			claim := g.Digest(repository, "tuf.v2")

			a.now = a.now.Add(10 * time.Minute)
			a.stage("", "a", "of a")
			var said warnings
			result, err := a.try(t.Context(), g, publish.Options{Warn: said.add})
			if err != nil {
				t.Fatal(err)
			}
			if content(t, g, a, "team/b") != "" || content(t, g, a, "a") != "of a" || result.HistoryTag != "tuf.v3" {
				t.Errorf("published %+v", result)
			}
			if g.Digest(repository, "tuf.v2") != claim {
				t.Error("the claim was overwritten")
			}
			if !strings.Contains(said.String(), "claim tuf.v2 is skipped") {
				t.Errorf("warnings: %s", &said)
			}
		})
	}
}

// drop takes the inline layer out of a manifest, and the files whose title
// starts with a prefix.
func drop(m *ocispec.Manifest, prefix string) {
	var kept []ocispec.Descriptor
	for _, l := range m.Layers {
		title := l.Annotations[ocispec.AnnotationTitle]
		if title != "" && !strings.HasPrefix(title, prefix) {
			kept = append(kept, l)
		}
	}
	m.Layers = kept
}

// The version of a claim is that of its timestamp, whatever the tag says.
func TestPublishSkipsClaimUnderOtherVersion(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	retag(t, g, "tuf.v3", "tuf.v2")
	g.PutManifest(repository, "tuf.v2", foreign)
	a.now = a.now.Add(10 * time.Minute)
	a.stage("", "a", "of a")
	if result := a.publish(g); result.HistoryTag != "tuf.v4" || content(t, g, a, "team/b") != "" {
		t.Errorf("published %+v", result)
	}
}

// A claim that new clients would take, but not those of the head, is skipped:
// here it has the newest timestamp over an older snapshot.
func TestPublishSkipsClaimThatGoesBack(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b, elsewhere := a.twin(), duplicate(t, g)
	for range 2 {
		b.now = b.now.Add(2 * 24 * time.Hour)
		b.publish(elsewhere)
	}
	a.stage("", "a", "of a")
	head := a.publish(g).Digest.String()
	transplant(t, elsewhere, "tuf.v3", g, "tuf.v3", head)

	a.now = b.now.Add(10 * time.Minute)
	a.stage("", "more", "of a")
	if result := a.publish(g); result.HistoryTag != "tuf.v4" || content(t, g, a, "a") != "of a" {
		t.Errorf("published %+v", result)
	}
}

// While a dead claim is judged, somebody else publishes.
func TestPublishFinishesNoClaimOfOldHead(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b, c := a.twin(), a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	a.now = a.now.Add(10 * time.Minute)
	a.stage("", "a", "of a")
	c.stage("team", "team/c", "of c")
	once := false
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !once && r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/manifests/"+channel) {
			once = true
			c.publish(g)
		}
		next.ServeHTTP(w, r)
	})
	a.publish(g)
	if !once || content(t, g, a, "a") != "of a" || content(t, g, a, "team/c") != "of c" || content(t, g, a, "team/b") != "" {
		t.Error("a change is missing, or one that was overtaken was published")
	}
}

// Two publishers claim one version: the one whose claim is gone goes on under
// the next version, without having moved the channel tag.
func TestPublishLostClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	theirs := g.Digest(repository, "tuf.v2")
	retag(t, g, "unrelated", theirs)
	g.DeleteTag(repository, "tuf.v2")
	a.stage("", "a", "of a")
	var moved []string
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		switch {
		case r.Method != http.MethodPut:
		case strings.HasSuffix(r.URL.Path, "/manifests/tuf.v2"):
			retag(t, g, "tuf.v2", theirs)
		case strings.HasSuffix(r.URL.Path, "/manifests/tuf"):
			moved = append(moved, g.Digest(repository, channel))
		}
	})
	result := a.publish(g)
	if result.HistoryTag != "tuf.v3" || len(moved) != 1 || moved[0] != result.Digest.String() {
		t.Errorf("published %+v, the tag moved to %q", result, moved)
	}
	if got := g.Digest(repository, "tuf.v2"); got != theirs {
		t.Errorf("the claim of the other publisher is now %s", got)
	}
}

// A claim that appears after the plan was made is not overwritten.
func TestPublishKeepsNewClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	a.stage("", "a", "of a")
	once := false
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if !once && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/tuf.v2") {
			once = true
			g.PutBlob(repository, []byte("{}"))
			g.PutManifest(repository, "tuf.v2", foreign)
		}
	})
	if result := a.publish(g); result.HistoryTag != "tuf.v3" || g.Digest(repository, "tuf.v2") != tuftest.Digest(foreign) {
		t.Errorf("published %+v", result)
	}
}

// A dry run tells of a dead claim and leaves it.
func TestPublishDryRunLeavesDeadClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	a.now = a.now.Add(10 * time.Minute)
	a.stage("", "a", "of a")
	g.Reset()
	var said warnings
	if _, err := a.try(t.Context(), g, publish.Options{DryRun: true, Warn: said.add}); err != nil {
		t.Fatal(err)
	}
	if got := writes(g); len(got) != 0 || !strings.Contains(said.String(), "tuf.v2") {
		t.Errorf("written %+v, warnings: %s", got, &said)
	}
}

func TestPublishTooManyClaims(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	g.PutBlob(repository, []byte("{}"))
	for v := int64(2); v < 102; v++ {
		g.PutManifest(repository, ociremote.HistoryTag(channel, v), foreign)
	}
	a.stage("", "a", "of a")
	g.Reset()
	_, err := a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, publish.ErrTooManyClaims)
	if got := writes(g); len(got) != 0 {
		t.Errorf("written: %+v", got)
	}
}

// A registry whose history tags cannot be overwritten refuses the claim of the
// slower publisher, which goes on under the next version.
func TestPublishImmutableClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	a.stage("", "a", "of a")
	b.stage("team", "team/b", "of b")
	raced := false
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/tuf.v") {
			next.ServeHTTP(w, r)
			return
		}
		if !raced {
			raced = true
			b.publish(g)
		}
		if _, tag, _ := strings.Cut(r.URL.Path, "/manifests/"); g.Digest(repository, tag) != "" {
			w.WriteHeader(http.StatusConflict)
			return
		}
		next.ServeHTTP(w, r)
	})
	if result := a.publish(g); result.HistoryTag != "tuf.v3" {
		t.Errorf("published as %s", result.HistoryTag)
	}
	if content(t, g, a, "a") != "of a" || content(t, g, a, "team/b") != "of b" {
		t.Error("a change is missing")
	}
}
