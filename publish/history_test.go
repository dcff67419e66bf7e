package publish_test

import (
	"encoding/json"
	"fmt"
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

// historyOf reads the history as its author sees it.
func historyOf(t testing.TB, g *tuftest.Registry, a *author, o publish.HistoryOptions) *publish.Timeline {
	t.Helper()
	o.Now = a.clock
	timeline, err := publish.History(t.Context(), a.root1(), remote(t, g, repository), o)
	if err != nil {
		t.Fatal(err)
	}
	return timeline
}

// wantStates checks the states by tag, newest first, as in "v3 head, v2 ancestor".
func wantStates(t testing.TB, timeline *publish.Timeline, want string) {
	t.Helper()
	var got []string
	for _, e := range timeline.Entries {
		state := string(e.State)
		if e.Finishable {
			state += " finishable"
		}
		got = append(got, fmt.Sprintf("%s %s", strings.TrimPrefix(e.Tag, "tuf."), state))
	}
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("history is %s\nwant %s", s, want)
		for _, e := range timeline.Entries {
			t.Logf("%s: %v, lost %v", e.Tag, e.Err, e.Lost)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	for i := range 3 {
		a.now = a.now.Add(time.Hour)
		a.stage("team", "team/x", fmt.Sprint(i))
		a.publish(g)
	}
	g.Reset()
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, "v4 head, v3 ancestor, v2 ancestor, v1 ancestor")
	if got := len(g.Requests()); got != 6 { // head, tags, 4 bundles
		t.Errorf("%d requests", got)
	}
	second := timeline.Entries[2]
	if !second.Verified || !second.MadeSigned || !second.Made.Equal(now.Add(time.Hour).Truncate(time.Second)) {
		t.Errorf("v2 was made %v (signed %v, verified %v)", second.Made, second.MadeSigned, second.Verified)
	}
	if got := fmt.Sprint(second.Changed); !strings.HasPrefix(got, "[{team 1 2 ") || len(second.Changed) != 3 {
		t.Errorf("v2 changed %s", got)
	}
	if got := timeline.Entries[3].Changed; len(got) != 5 || got[0].Role != "root" || got[0].From != 0 {
		t.Errorf("v1 changed %v", got)
	}
	if timeline = historyOf(t, g, a, publish.HistoryOptions{Max: 2}); len(timeline.Entries) != 2 || !timeline.Truncated {
		t.Errorf("two of it are %+v", timeline)
	}
}

// A bundle on the way that no tag names any more, and one that is gone.
func TestHistoryWithGaps(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a := published(t)
	for range 3 {
		a.stage("team", "team/x", a.now.String())
		a.now = a.now.Add(time.Minute)
		a.publish(g)
	}
	g.DeleteTag(repository, "tuf.v3")
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v4 head,  ancestor, v2 ancestor, v1 ancestor")
	g.DeleteTag(repository, g.Digest(repository, "tuf.v2"))
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, "v4 head,  ancestor, v1 unknown")
	if len(timeline.Notes) != 1 || !strings.Contains(timeline.Notes[0], "is gone") {
		t.Errorf("notes: %q", timeline.Notes)
	}
}

func TestHistoryOfClaims(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v2 claim, v1 head")
	a.now = a.now.Add(6 * time.Minute)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v2 dead finishable, v1 head")
	a.stage("", "a", "of a")
	a.publish(g)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v3 head, v2 ancestor, v1 ancestor")
}

// Publishers that are overtaken go on under the next version, or are told.
func TestHistoryOfOvertaken(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for role, want := range map[string]string{
		"":     "v3 head, v2 fork, v1 ancestor",
		"team": "v3 head, v2 overtaken, v1 ancestor",
	} {
		g, a := published(t)
		b := a.twin()
		b.stage(role, "team/b", "of b")
		die(t, g, b)
		if role == "" {
			a.stage("", "a", "of a") // v3 knows nothing of b's
		} else {
			a = b.twin() // v3 is b's, under the next version
			a.now = a.now.Add(time.Minute)
			a.stage("", "a", "of a")
		}
		a.publish(g)
		timeline := historyOf(t, g, a, publish.HistoryOptions{})
		wantStates(t, timeline, want)
		if forks := timeline.Of(publish.StateFork); role == "" && (len(forks) != 1 || fmt.Sprint(forks[0].Lost) != "[targets v2]") {
			t.Errorf("forks: %+v", forks)
		}
	}
}

func TestHistoryOfForks(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	start := g.Digest(repository, channel)
	a.stage("", "a", "of a")
	a.publish(g)
	retag(t, g, channel, start)
	b.stage("team", "team/b", "of b")
	b.publish(g)
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, "v3 head, v2 fork, v1 ancestor")
	if lost := timeline.Entries[1].Lost; fmt.Sprint(lost) != "[targets v2]" {
		t.Errorf("lost %v", lost)
	}
	// It stays one after others have gone on.
	b.stage("team", "team/b", "more of b")
	b.publish(g)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v4 head, v3 ancestor, v2 fork, v1 ancestor")
	// The head is put back: what was built on it tells.
	retag(t, g, channel, start)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v4 fork, v3 fork, v2 claim, v1 head")
}

// One version was signed twice.
func TestHistoryOfTwins(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b, elsewhere := a.twin(), duplicate(t, g)
	previous := g.Digest(repository, channel)
	a.now = a.now.Add(6 * 24 * time.Hour)
	b.now = a.now.Add(time.Minute)
	a.publish(g)
	b.publish(elsewhere)
	transplant(t, elsewhere, "tuf.v2", g, "tuf.v2", previous)
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, " head, v2 fork, v1 ancestor")
	// Nothing is missed: nobody is to be woken by it.
	health := monitor(t, g, a, publish.MonitorOptions{History: 10})
	if len(health.Forks()) != 1 || len(health.Overwrites()) != 0 || !health.OK() {
		t.Errorf("forks %v, overwrites %v", health.Forks(), health.Overwrites())
	}
}

// Lying annotations make no ancestor of what contradicts the signed versions, and no
// fork of what lost nothing.
func TestHistoryOfLies(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a := published(t)
	b, elsewhere := a.twin(), duplicate(t, g)
	a.stage("", "a", "of a")
	ours := a.publish(g).Digest.String()
	b.stage("", "b", "of b")
	b.publish(elsewhere)
	b.stage("team", "team/b", "of b")
	b.publish(elsewhere)
	// The head says that it was built on ours, and has another targets v2.
	transplant(t, elsewhere, channel, g, channel, ours)
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, " head, v2 unknown, v1 unknown")
	if len(timeline.Notes) != 1 || !strings.Contains(timeline.Notes[0], "2.targets.json") {
		t.Errorf("notes: %q", timeline.Notes)
	}

	// A copy of an ancestor under its tag, built on something else by its own account.
	g, a = published(t)
	for range 2 {
		a.stage("", "a", a.now.String())
		a.now = a.now.Add(time.Minute)
		a.publish(g)
	}
	transplant(t, duplicate(t, g), "tuf.v2", g, "tuf.v2", g.Digest(repository, "tuf.v3"))
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v3 head, v2 overtaken,  ancestor, v1 ancestor")
}

// What the head says that it was built on has newer roles, or does not verify: it is no
// ancestor.
func TestHistoryOfFalseAncestors(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b, elsewhere := a.twin(), duplicate(t, g)
	b.stage("", "b", "of b")
	b.publish(elsewhere) // timestamp v2 with targets v2
	for range 2 {
		a.now = a.now.Add(6 * day)
		a.publish(g) // up to timestamp v3 with targets v1
	}
	for name, test := range map[string]struct {
		damage bool
		note   string
	}{"newer roles": {false, "has a newer targets"}, "unsigned": {true, "does not verify"}} {
		to := duplicate(t, g)
		transplant(t, elsewhere, "tuf.v2", to, "tuf.v2", to.Digest(repository, "tuf.v1"))
		if test.damage {
			damageTimestamp(t, to, "tuf.v2")
		}
		transplant(t, g, "tuf.v3", to, "tuf.v3", to.Digest(repository, "tuf.v2"))
		retag(t, to, channel, to.Digest(repository, "tuf.v3"))
		timeline := historyOf(t, to, a, publish.HistoryOptions{})
		if e := timeline.Entries[1]; e.State == publish.StateAncestor || len(timeline.Notes) != 1 || !strings.Contains(timeline.Notes[0], test.note) {
			t.Errorf("%s: v2 is %s, notes %q", name, e.State, timeline.Notes)
		}
	}
}

// damageTimestamp changes the timestamp of a bundle, so that its signature is void.
func damageTimestamp(t testing.TB, g *tuftest.Registry, tag string) {
	t.Helper()
	var m ocispec.Manifest
	manifest, _ := g.Manifest(repository, tag)
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	m.Layers = m.Layers[1:] // the inline layer would lie
	for i, l := range m.Layers {
		if l.Annotations[ocispec.AnnotationTitle] == "metadata/timestamp.json" {
			data, _ := g.Blob(repository, l.Digest.String())
			data = []byte(strings.Replace(string(data), `"expires":"20`, `"expires":"21`, 1))
			m.Layers[i].Digest, m.Layers[i].Size = digest.FromBytes(data), int64(len(data))
			g.PutBlob(repository, data)
		}
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	g.PutManifest(repository, tag, manifest)
}

func TestHistoryOfStrangers(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	g.PutBlob(repository, []byte("{}"))
	g.PutManifest(repository, "tuf.v2", foreign)
	retag(t, g, "tuf.v7", g.Digest(repository, channel))
	g.PutManifest(repository, "tuf.v07", foreign)
	g.PutManifest(repository, "tuf.vx", foreign)
	timeline := historyOf(t, g, a, publish.HistoryOptions{})
	wantStates(t, timeline, "v7 unreadable, v2 unreadable, v1 head")
	if err := timeline.Entries[0].Err; err == nil || !strings.Contains(err.Error(), "timestamp v1") {
		t.Errorf("v7: %v", err)
	}
	_, err := publish.History(t.Context(), tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes(), remote(t, g, repository), publish.HistoryOptions{Now: a.clock})
	if err == nil {
		t.Error("the history was read from another root")
	}
}

// A list of tags without end is not read to its end.
func TestHistoryOfEndlessTags(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	pages := 0
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			next.ServeHTTP(w, r)
			return
		}
		pages++
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%d>; rel="next"`, repository, pages))
		tags := make([]string, 20_000)
		for i := range tags {
			tags[i] = fmt.Sprintf("%q", ociremote.HistoryTag(channel, int64(pages*len(tags)+i)))
		}
		fmt.Fprintf(w, `{"name":%q,"tags":[%s]}`, repository, strings.Join(tags, ","))
	})
	_, err := publish.History(t.Context(), a.root1(), remote(t, g, repository), publish.HistoryOptions{Now: a.clock})
	wantErr(t, err, publish.ErrTooManyTags)
	if pages > 6 {
		t.Errorf("%d pages were read", pages)
	}
}
