package publish_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

// The requests of a publish: one for the head, one for the claim that must not
// exist, two for each blob that the head lacks, both tags looked at, the claim,
// both tags again, the channel tag, both read back, and the claim that nobody must
// have made above it meanwhile: 25 for a first publish with
// one target, 21 for a second one with one more. At first there are six blobs beside the
// target: config, inline layer, and four roles; later targets, snapshot,
// timestamp, the inline layer and the new target file.
func TestPublishRequests(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	result := a.publish(g)
	if got, want := len(g.Requests()), 2+2*7+2+1+2+1+3; got != want {
		t.Errorf("the first publish made %d requests, want %d", got, want)
	}
	if !result.FirstPublish || result.HistoryTag != "tuf.v1" || len(result.Plan.Blobs) != 7 {
		t.Errorf("first publish: %+v", result)
	}
	a.stage("", "more.txt", "more")
	g.Reset()
	result = a.publish(g)
	if got, want := len(g.Requests()), 2+2*5+2+1+2+1+3; got != want {
		t.Errorf("the second publish made %d requests, want %d", got, want)
	}
	if result.FirstPublish || result.HistoryTag != "tuf.v2" || result.Versions.Root != 1 || result.Versions.Targets != 2 {
		t.Errorf("second publish: %+v", result)
	}
	if got := g.Tags(repository); !slices.Equal(got, []string{"tuf", "tuf.v1", "tuf.v2"}) {
		t.Errorf("tags %q", got)
	}
	for name, want := range map[string]string{"hello.txt": "hello", "more.txt": "more"} {
		if got := content(t, g, a, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}

	g.Reset()
	if result = a.publish(g); !result.Unchanged {
		t.Errorf("an unchanged workspace was published: %+v", result)
	}
	if got := g.Requests(); len(got) != 1 {
		t.Errorf("an unchanged publish made %d requests, want 1", len(got))
	}
}

// The workspace holds what it published: a role too large to be inline is not
// read from the registry to publish a change in another one.
func TestPublishReadsNoRoleThatItHolds(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a := registry(t), newAuthor(t)
	a.delegate("team", 0)
	var entries strings.Builder
	noise := rand.NewChaCha8([32]byte{})
	for i := range 16 { // few, since each is parsed many times, with what gzip makes little of
		custom := make([]byte, 15_000)
		_, _ = noise.Read(custom)
		fmt.Fprintf(&entries, `{"path":"images/shop/api:%d","length":7,"hashes":{"sha256":"%x"},"custom":{"noise":"%x"}}`+"\n", i, sha256.Sum256(custom), custom)
	}
	if _, err := a.ws.AddTargetEntries(strings.NewReader(entries.String()), metadata.TargetOptions{}); err != nil {
		t.Fatal(err)
	}
	a.publish(g)
	b := bundle(t, remote(t, g, repository), channel)
	for _, f := range b.Files {
		if _, inline := b.Inline(f.Title); inline && strings.HasSuffix(f.Title, ".targets.json") {
			t.Fatalf("%s is inline, and would not be read in any case", f.Title)
		}
	}
	a.stage("team", "team/file.txt", "file")
	g.Reset()
	a.publish(g)
	for _, r := range g.Requests() {
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/blobs/") {
			t.Errorf("read %s", r.Path)
		}
	}
}

func TestPublishTagMovesLast(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	a.publish(g)
	var puts []string
	for _, r := range writes(g) {
		_, tag, ok := strings.Cut(r.Path, "/manifests/")
		if !ok {
			tag = "blob"
		}
		puts = append(puts, tag)
	}
	if got := slices.Compact(puts); !slices.Equal(got, []string{"blob", "tuf.v1", "tuf"}) {
		t.Errorf("written in the order %q", got)
	}
}

func TestPublishDryRun(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	a.stage("", "more.txt", "more")
	g.Reset()
	before := a.files()
	result, err := a.try(t.Context(), g, publish.Options{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := writes(g); len(got) != 0 {
		t.Errorf("written to the registry: %+v", got)
	}
	if !maps.Equal(a.files(), before) {
		t.Error("the workspace was changed")
	}
	var roles []string
	for _, c := range result.Plan.Roles {
		roles = append(roles, c.Role)
		if c.To != c.From+1 || c.Expires.Before(now) {
			t.Errorf("change %+v", c)
		}
	}
	if !slices.Equal(roles, []string{"targets", "snapshot", "timestamp"}) {
		t.Errorf("plan changes %q", roles)
	}
	if p := result.Plan; p.HeadVersion != 1 || p.HistoryTag != "tuf.v2" || len(p.Blobs) != 5 || p.Bytes == 0 || p.Size == 0 {
		t.Errorf("plan %+v", p)
	}
	if !slices.ContainsFunc(result.Plan.Blobs, func(b publish.BlobPlan) bool { return b.Title == "metadata/2.targets.json" }) {
		t.Errorf("planned blobs have not the names of their files: %+v", result.Plan.Blobs)
	}
	b := a.twin()
	if done := a.publish(g); len(done.Plan.Blobs) != 5 {
		t.Errorf("what was done: %+v", done.Plan)
	}

	// What would only be recorded is not, either.
	before = b.files()
	result, err = b.try(t.Context(), g, publish.Options{DryRun: true})
	if err != nil || !result.Unchanged || !maps.Equal(b.files(), before) {
		t.Errorf("the workspace of another was changed: %+v, %v", result, err)
	}
}

func TestPublishLeavesForeignTags(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(g *tuftest.Registry){
		"image": func(g *tuftest.Registry) {
			g.PutBlob(repository, []byte("{}"))
			g.PutManifest(repository, channel, foreign)
		},
		"other root": func(g *tuftest.Registry) {
			g.Push(repository, channel, tuftest.Pack(t, world(t).Files(), tuftest.PackOptions{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, first := range []bool{true, false} {
				g, a := registry(t), newAuthor(t)
				if !first {
					a.publish(registry(t))
					a.stage("", "more.txt", "more")
				}
				put(g)
				before := g.Digest(repository, channel)
				_, err := a.try(t.Context(), g, publish.Options{})
				wantErr(t, err, publish.ErrForeignTag)
				if got := writes(g); len(got) != 0 || g.Digest(repository, channel) != before {
					t.Errorf("written: %+v", got)
				}
			}
		})
	}
}

func TestPublishHeadMissing(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	g.DeleteTag(repository, channel)
	a.stage("", "more.txt", "more")
	g.Reset()
	_, err := a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, publish.ErrHeadMissing)
	if got := writes(g); len(got) != 0 {
		t.Errorf("written: %+v", got)
	}
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	refusal := errors.New("refused by a check")
	for name, test := range map[string]struct {
		o    publish.Options
		want error
	}{
		"too many files": {publish.Options{MaxFiles: 1}, metadata.ErrLint},
		"check": {publish.Options{Checks: []publish.Check{func(_ context.Context, r *metadata.Release) error {
			if r.TimestampVersion != 2 {
				t.Errorf("asked about timestamp v%d", r.TimestampVersion)
			}
			return refusal
		}}}, refusal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := published(t)
			a.stage("", "more.txt", "more")
			g.Reset()
			_, err := a.try(t.Context(), g, test.o)
			wantErr(t, err, test.want)
			if got := writes(g); len(got) != 0 {
				t.Errorf("written: %+v", got)
			}
			a.publish(g)
		})
	}
}

// What clients would refuse is not sent, whatever made it. The damage is done
// where a caller can reach the release.
func TestPublishVerifiesAsClient(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, damage := range map[string]func(f *metadata.File){
		"broken timestamp":   replaceIn("metadata/timestamp.json", `"version":`, `"version":1`),
		"broken targets":     replaceIn("metadata/2.targets.json", `more.txt`, `less.txt`),
		"broken old root":    replaceIn("metadata/1.root.json", `root`, `rott`),
		"missing team":       replaceIn("metadata/1.team.json", `{`, ` {`),
		"other target bytes": replaceIn("targets/", "more", "mare"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := published(t)
			a.stage("", "more.txt", "more")
			g.Reset()
			_, err := a.try(t.Context(), g, publish.Options{Checks: []publish.Check{func(_ context.Context, r *metadata.Release) error {
				for i := range r.Files {
					damage(&r.Files[i])
				}
				return nil
			}}})
			if err == nil {
				t.Error("published")
			}
			if got := writes(g); len(got) != 0 {
				t.Errorf("written: %+v", got)
			}
		})
	}
	t.Run("missing target file", func(t *testing.T) {
		t.Parallel()
		g, a := published(t)
		a.stage("", "more.txt", "more")
		_, err := a.try(t.Context(), g, publish.Options{Checks: []publish.Check{func(_ context.Context, r *metadata.Release) error {
			r.Files = slices.DeleteFunc(r.Files, func(f metadata.File) bool { return strings.HasSuffix(f.Name, "more.txt") })
			return nil
		}}})
		if err == nil || !strings.Contains(err.Error(), "more.txt") {
			t.Errorf("error is %v", err)
		}
	})
}

// replaceIn changes the bytes of the files whose title starts with a prefix,
// with length and checksum to fit.
func replaceIn(prefix, old, changed string) func(f *metadata.File) {
	return func(f *metadata.File) {
		if strings.HasPrefix(f.Name, prefix) && f.Data != nil {
			f.Data = []byte(strings.Replace(string(f.Data), old, changed, 1))
			f.Length, f.SHA256 = int64(len(f.Data)), strings.TrimPrefix(tuftest.Digest(f.Data), "sha256:")
		}
	}
}

func TestPublishTakesOverOthers(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	b.publish(g)
	a.stage("", "a", "of a")
	a.publish(g)
	if got := content(t, g, a, "a") + content(t, g, a, "team/b"); got != "of aof b" {
		t.Errorf("consumers see %q", got)
	}
	if got := b.publish(g); !got.Unchanged || got.Versions.Timestamp != 3 {
		t.Errorf("the other workspace: %+v", got)
	}
	b.stage("", "b", "of b")
	b.publish(g)
	if got := content(t, g, a, "b"); got != "of b" {
		t.Errorf("consumers see %q", got)
	}
}

func TestPublishConflict(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	a.stage("", "file", "of a")
	a.publish(g)
	b.stage("", "file", "of b")
	before := g.Digest(repository, channel)
	_, err := b.try(t.Context(), g, publish.Options{})
	wantErr(t, err, publish.ErrConflict)
	if e, ok := errors.AsType[*metadata.ConflictError](err); !ok || e.Roles[0].Role != "targets" {
		t.Errorf("evidence is %+v", e)
	}
	if g.Digest(repository, channel) != before {
		t.Error("the tag moved")
	}
}

// Where others have only kept the timestamp fresh, that is seen in the head.
func TestPublishAfterRenewals(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	for range 3 {
		b.now = b.now.Add(6 * 24 * time.Hour)
		if b.publish(g).Unchanged {
			t.Fatal("nothing was due")
		}
	}
	a.now = b.now
	g.Reset()
	if result := a.publish(g); !result.Unchanged || result.Versions.Timestamp != 4 {
		t.Errorf("published %+v", result)
	}
	if got := g.Requests(); len(got) != 1 {
		t.Errorf("%d requests, want 1", len(got))
	}
}

// A publisher that comes back after something, or everything, has lapsed can
// go on.
func TestPublishAfterExpiry(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, later := range []time.Duration{3 * 24 * time.Hour, 8 * 24 * time.Hour, 2000 * 24 * time.Hour} {
		g, a := published(t)
		a.delegate("brief", 2*24*time.Hour)
		a.publish(g)
		a.now = now.Add(later)
		a.stage("", "more.txt", "more")
		a.publish(g)
		view, err := refreshAt(t, g, a)
		if err != nil {
			t.Fatalf("after %s: consumer: %v", later, err)
		}
		wantTarget(t, view, "more.txt", "more")
	}
}

func TestPublishCancelled(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/blobs/", "/manifests/tuf.v2", "/manifests/tuf"} {
		g, a := published(t)
		a.stage("", "hello.txt", "hello again")
		ctx, cancel := context.WithCancel(t.Context())
		g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut && (strings.HasSuffix(r.URL.Path, at) || at == "/blobs/" && strings.Contains(r.URL.Path, at)) {
				cancel()
			}
			next.ServeHTTP(w, r)
		})
		_, err := a.try(ctx, g, publish.Options{})
		wantErr(t, err, context.Canceled)
		if got := content(t, g, a, "hello.txt"); got != "hello" && got != "hello again" {
			t.Errorf("cancelled at %s: consumers see %q", at, got)
		}
		a.publish(g)
		if got := content(t, g, a, "hello.txt"); got != "hello again" {
			t.Errorf("cancelled at %s and published: consumers see %q", at, got)
		}
		cancel()
	}
}

// A registry that has lost a blob gets it back with the next publish.
func TestPublishRestoresLostBlob(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	root := tuftest.Digest(a.root1())
	g.DeleteBlob(repository, root)
	a.stage("", "more.txt", "more")
	a.publish(g)
	if _, ok := g.Blob(repository, root); !ok {
		t.Error("the blob is still missing")
	}
}

func TestPublishProgress(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	var p progress
	result, err := a.try(t.Context(), g, publish.Options{Progress: &p, Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p.blobs != len(result.Plan.Blobs) || p.bytes != result.Plan.Bytes || p.started != p.blobs || p.sent != p.bytes {
		t.Errorf("progress %+v, plan %+v", p, result.Plan)
	}
	if p.most > 2 {
		t.Errorf("%d blobs at the same time, want at most 2", p.most)
	}
}

// progress counts. It has no lock, since calls do not overlap.
type progress struct {
	blobs, started, open, most int
	bytes, sent                int64
}

func (p *progress) Begin(blobs int, bytes int64) { p.blobs, p.bytes = blobs, bytes }
func (p *progress) Start(string, int64)          { p.started++; p.open++; p.most = max(p.most, p.open) }

func (p *progress) Done(_ string, size int64, _ error) {
	p.open--
	p.sent += size
}
