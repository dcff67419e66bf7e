package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// inbox is a repository in memory with the roles team-a, team-b and, for two people of
// team-a, both: and whoever refreshes it with the online keys.
type inbox struct {
	t    testing.TB
	repo *tuftest.Repo
	dst  ociremote.WritableRepository
	said warnings
	o    publish.RefreshOptions
}

func newInbox(t testing.TB) *inbox {
	t.Helper()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: now, Life: 30 * day})
	repo.AddTarget("hello.txt", []byte("hello"))
	for _, team := range []string{"team-a", "team-b"} {
		repo.Delegate("targets", team, []string{team + "/*"}, false)
		repo.AddTargetTo(team, team+"/old", []byte("old"))
	}
	repo.Publish()
	b := &inbox{t: t, repo: repo, dst: memory(t, repo)}
	b.o = publish.RefreshOptions{Keys: testKeys(repo, "timestamp", "snapshot"), Now: clock, Proposals: true, Warn: b.said.add}
	return b
}

// next is what a team makes of the repository: its next version, with a change.
func (b *inbox) next(role string, change func(*tuftest.Repo)) *tuftest.Repo {
	b.t.Helper()
	f := b.repo.Fork()
	f.Touch(role)
	change(f)
	f.Publish()
	return f
}

// put proposes the role as it is in a repository, under a tag of that version, with the
// target files whose titles contain one of the names.
func (b *inbox) put(role string, from *tuftest.Repo, names ...string) string {
	b.t.Helper()
	files := []ociremote.Content{{Title: metadata.Title(role, from.Version(role)), Data: from.Data(role)}}
	for title, data := range from.Files() {
		for _, name := range names {
			if strings.HasSuffix(title, "."+name) {
				files = append(files, ociremote.Content{Title: title, Data: data})
			}
		}
	}
	tag, err := ociremote.ProposalTag(channel, role, from.Version(role))
	if err != nil {
		b.t.Fatal(err)
	}
	b.pack(tag, files...)
	return tag
}

// pack puts a proposal of any files under any tag.
func (b *inbox) pack(tag string, files ...ociremote.Content) {
	b.t.Helper()
	p, blobs, err := ociremote.PackProposal(files, ociremote.PackOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, blob := range blobs {
		if blob.Data == nil {
			continue
		}
		if err := b.dst.Push(b.t.Context(), blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			b.t.Fatal(err)
		}
	}
	storeManifest(b.t, b.dst, tag, p.Manifest())
}

func (b *inbox) refresh() *publish.Result {
	b.t.Helper()
	result, err := publish.Refresh(b.t.Context(), b.repo.RootBytes(), b.dst, b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// folded are the proposals that a refresh took.
func folded(r *publish.Result) string {
	var tags []string
	for _, p := range r.Proposals {
		if p.Folded {
			tags = append(tags, p.Tag)
		}
	}
	return strings.Join(tags, " ")
}

// One refresh folds in what two teams propose, in one bundle, and removes the tags.
func TestFoldIn(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	b.put("team-a", b.next("team-a", func(r *tuftest.Repo) { r.AddTargetTo("team-a", "team-a/new", []byte("of a")) }), "new")
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")
	result := b.refresh()
	if folded(result) != "tuf.in.team-a.2 tuf.in.team-b.2" || len(result.Plan.Roles) != 4 || result.Plan.Roles[0].Why != "proposed" {
		t.Errorf("folded in %q; %+v", folded(result), result.Plan.Roles)
	}
	for _, blob := range result.Plan.Blobs {
		if strings.Contains(blob.Title, "team") {
			t.Errorf("%s was sent again", blob.Title)
		}
	}
	view := see(t, b.repo.RootBytes(), b.dst)
	wantTarget(t, view, "team-a/new", "of a")
	wantTarget(t, view, "team-b/new", "of b")
	wantTags(t, b.dst, "tuf", result.HistoryTag)
	if _, ok := bundle(t, b.dst, channel).Inline(targetTitle("team-a/new", "of a")); !ok {
		t.Error("a new target file is not inline")
	}
	if again := b.refresh(); !again.Unchanged || len(again.Proposals) != 0 || b.said.String() != "" {
		t.Errorf("again: %+v; warned %s", again.Proposals, &b.said)
	}
}

func targetTitle(path, content string) string {
	return metadata.TargetTitle(path, digest.FromString(content).Encoded())
}

// hostile are proposals of a role that are not to be folded in, and why.
var hostile = []struct {
	name string
	make func(b *inbox, role string)
	want string
}{
	{"no proposal", func(b *inbox, role string) { storeManifest(b.t, b.dst, tagOf(role), foreign) }, "manifest of type"},
	{"a bundle", func(b *inbox, role string) {
		storeManifest(b.t, b.dst, tagOf(role), bundle(b.t, b.dst, channel).Manifest)
	}, "manifest of type"},
	{"wrong role under the tag", func(b *inbox, role string) {
		b.pack(tagOf(role), ociremote.Content{Title: metadata.Title("team-a", 2), Data: b.next("team-a", plain).Data("team-a")})
	}, `holds "metadata/2.team-a.json"`},
	{"wrong role under the title", func(b *inbox, role string) { b.pack(tagOf(role), file(role, b.next("team-a", plain).Data("team-a"))) }, "0 of 1 required"},
	{"signed by another team", func(b *inbox, role string) {
		f := b.next(role, plain)
		f.SignAs(role, f.Signer("team-a"))
		b.put(role, f)
	}, "0 of 1 required"},
	{"one signature of two", func(b *inbox, role string) {
		f := b.next(role, plain)
		f.SignAs(role, f.Signer(role))
		b.put(role, f)
	}, "1 of 2 required"},
	{"the same version", func(b *inbox, role string) {
		b.pack(tagOf(role), ociremote.Content{Title: metadata.Title(role, 1), Data: b.repo.Data(role)})
	}, `holds "metadata/1.`},
	{"an old file under a new title", func(b *inbox, role string) { b.pack(tagOf(role), file(role, b.repo.Data(role))) }, "v1 does not follow v1"},
	{"a jump", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.SetVersion(role, 1<<53-1) }))
	}, "v9007199254740991 does not follow v1"},
	{"a jump under the next tag", func(b *inbox, role string) {
		b.pack(tagOf(role), file(role, b.next(role, func(r *tuftest.Repo) { r.SetVersion(role, 1<<53-1) }).Data(role)))
	}, "v9007199254740991 does not follow v1"},
	{"expired", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.SetExpiry(role, now.Add(-time.Second)) }))
	}, "it expired at"},
	{"outside its paths", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.AddTargetTo(role, "team-b/x", []byte("x")) }), "x")
	}, `no lookup of "team-b/x" comes to role`},
	{"a reserved name", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.AddTargetTo(role, "notation/trustpolicy.json", []byte("{}")) }), "trustpolicy.json")
	}, "(reserved)"},
	{"delegates reserved names", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.Delegate(role, "sub", []string{"notation/*"}, false) }))
	}, "(reserved)"},
	{"delegates to nobody", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.Delegate(role, "sub", []string{role + "/*"}, false) }))
	}, `delegates to "sub", which nobody has made`},
	{"delegates to a role that has not signed for it", func(b *inbox, role string) {
		f := b.next(role, func(r *tuftest.Repo) {
			r.Delegate(role, "team-a", []string{role + "/*"}, false)
			r.RotateKey("team-a")
		})
		b.put(role, f)
	}, "team-a v1 is not signed as it says"},
	{"a key twice", func(b *inbox, role string) {
		f := b.next(role, func(r *tuftest.Repo) { r.Delegate(role, "sub", []string{role + "/*"}, false) })
		f.ForgeAlone(role, func(signed map[string]any) {
			keys := signed["delegations"].(map[string]any)["keys"].(map[string]any)
			for _, k := range keys {
				keys["again"] = k
			}
		})
		b.put(role, f)
	}, "duplicate-key"},
	{"not strict JSON", func(b *inbox, role string) {
		f := b.next(role, plain)
		f.Tamper(role, func(data []byte) []byte {
			return bytes.Replace(data, []byte(`"version":`), []byte(`"version":9,"version":`), 1)
		})
		b.put(role, f)
	}, "given twice"},
	{"a lying target file", func(b *inbox, role string) {
		f := b.next(role, func(r *tuftest.Repo) { r.AddTargetTo(role, role+"/x", []byte("x")) })
		b.pack(tagOf(role), file(role, f.Data(role)), ociremote.Content{Title: targetTitle(role+"/x", "x"), Data: []byte("other")})
	}, "neither in the head nor in the proposal"},
	{"no target file", func(b *inbox, role string) {
		b.put(role, b.next(role, func(r *tuftest.Repo) { r.AddTargetTo(role, role+"/x", []byte("x")) }))
	}, "neither in the head nor in the proposal"},
	{"a target file that is gone", func(b *inbox, role string) {
		f := b.next(role, func(r *tuftest.Repo) { r.AddTargetTo(role, role+"/gone", []byte("gone")) })
		b.pack(tagOf(role), file(role, f.Data(role)), ociremote.Content{Title: targetTitle(role+"/gone", "gone"), Digest: digest.FromString("gone"), Size: 4})
	}, digest.FromString("gone").String()},
	{"a target file of petabytes", func(b *inbox, role string) {
		f := b.next(role, func(r *tuftest.Repo) { r.AddEntry(role, role+"/x", 1<<50, digest.FromString("x").Encoded(), nil) })
		b.pack(tagOf(role), file(role, f.Data(role)), ociremote.Content{Title: targetTitle(role+"/x", "x"), Digest: digest.FromString("x"), Size: 1 << 50})
	}, "more than 67108864 bytes together"},
	{"a huge role", func(b *inbox, role string) {
		b.pack(tagOf(role), ociremote.Content{Title: metadata.Title(role, 2), Digest: digest.FromString("x"), Size: 5_000_001})
	}, "the limit is 5000000"},
	{"a role of more bytes than it says", func(b *inbox, role string) {
		b.pack(tagOf(role), ociremote.Content{Title: metadata.Title(role, 2), Digest: digest.FromBytes(b.repo.Data("root")), Size: 9})
	}, "other than 9 bytes"},
}

func plain(*tuftest.Repo) {}

func tagOf(role string) string { return "tuf.in." + role + ".2" }

// file is that of the next version of a role, whatever it holds.
func file(role string, data []byte) ociremote.Content {
	return ociremote.Content{Title: metadata.Title(role, 2), Data: data}
}

// Whatever is under the tags of proposals, all of it at once: a refresh takes the one
// that is good, and says of each other what is wrong with it.
func TestFoldInRefuses(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	b := newInbox(t)
	role := func(i int) string { return fmt.Sprintf("bad-%02d", i) }
	for i, c := range hostile {
		b.repo.Delegate("targets", role(i), []string{role(i) + "/*"}, false)
		if strings.HasPrefix(c.name, "one signature") {
			b.repo.SetKeys(role(i), []*tuftest.Key{b.repo.Signer(role(i)), tuftest.NewKey(t, "")}, 2)
		}
	}
	b.repo.Publish()
	b.dst = memory(t, b.repo)
	want := map[string]string{}
	for i, c := range hostile {
		c.make(b, role(i))
		want[role(i)] = c.want
	}
	b.put("root", b.next("root", plain))
	b.pack("tuf.in.timestamp.2", ociremote.Content{Title: "metadata/timestamp.json", Data: b.repo.Data("timestamp")})
	f := b.next("team-a", func(r *tuftest.Repo) { r.Delegate("team-a", "sub", []string{"team-a/*"}, false) })
	b.put("sub", f)
	want["root"], want["timestamp"], want["sub"] = "a root decides", "signed by whoever publishes", "no such role"
	for i := range 300 {
		storeManifest(t, b.dst, fmt.Sprintf("tuf.in.zzz%d.1", i), foreign)
	}
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")

	result := b.refresh()
	if got := folded(result); got != "tuf.in.team-b.2" {
		t.Errorf("folded in %q", got)
	}
	wantTarget(t, see(t, b.repo.RootBytes(), b.dst), "team-b/new", "of b")
	got := map[string]error{}
	for _, p := range result.Proposals {
		got[p.Role] = p.Err
	}
	for role, text := range want {
		if err := got[role]; err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", role, err, text)
		}
	}
	wantSaid(t, &b.said, "more proposals are not folded in")
	if n := len(b.said.lines); n > 20 || len(result.Proposals) > 256 {
		t.Errorf("%d warnings, %d proposals: %s", n, len(result.Proposals), &b.said)
	}
}

// wantSaid checks that a warning has one of some texts.
func wantSaid(t testing.TB, said *warnings, texts string) {
	t.Helper()
	for text := range strings.SplitSeq(texts, "|") {
		if strings.Contains(said.String(), text) {
			return
		}
	}
	t.Errorf("warned %q, want %q", said, texts)
}

// A role and the one that it newly delegates to come together, or not at all.
func TestFoldInNested(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	f := b.next("team-a", func(r *tuftest.Repo) {
		r.Delegate("team-a", "a-sub", []string{"team-a/*"}, false)
		r.AddTargetTo("a-sub", "team-a/deep", []byte("deep"))
	})
	child := b.put("a-sub", f, "deep")
	if result := b.refresh(); folded(result) != "" || !result.Unchanged {
		t.Errorf("the child alone: folded in %q", folded(result))
	}
	b.put("team-a", f)
	if got := folded(b.refresh()); got != child+" tuf.in.team-a.2" {
		t.Errorf("folded in %q", got)
	}
	wantTarget(t, see(t, b.repo.RootBytes(), b.dst), "team-a/deep", "deep")
}

// One that only spoils the whole is found and left out, and the others are folded in.
func TestFoldInWithoutCulprit(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	b.o.MaxFiles = 4 // three are there
	b.put("team-a", b.next("team-a", func(r *tuftest.Repo) {
		r.AddTargetTo("team-a", "team-a/x", []byte("x"))
		r.AddTargetTo("team-a", "team-a/y", []byte("y"))
	}), "x", "y")
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")
	if got := folded(b.refresh()); got != "tuf.in.team-b.2" {
		t.Errorf("folded in %q", got)
	}
	wantSaid(t, &b.said, "5 target files|6 target files")

	// A policy that no client would take comes with its role, and goes with it.
	b.said.lines = nil
	b.put("targets", b.next("targets", func(r *tuftest.Repo) { r.AddTarget("notation/trustpolicy.json", []byte("{")) }), "trustpolicy.json")
	b.o.MaxFiles = 0
	if got := folded(b.refresh()); got != "tuf.in.team-a.2" {
		t.Errorf("folded in %q", got)
	}
	wantSaid(t, &b.said, "tuf.in.targets.3")
}

// Who cannot sign what follows says so, and leaves the proposal for who can.
func TestFoldInWaitsForKeys(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	b.o.Keys = testKeys(b.repo, "timestamp")
	tag := b.put("team-a", b.next("team-a", func(*tuftest.Repo) {}))
	result := b.refresh()
	if !result.Unchanged || len(result.Proposals) != 1 || !result.Proposals[0].Waiting || result.Proposals[0].Err != nil {
		t.Errorf("%+v", result.Proposals)
	}
	wantSaid(t, &b.said, "proposal "+tag+" waits: no key at hand for snapshot")
	list, err := publish.Proposals(t.Context(), see(t, b.repo.RootBytes(), b.dst), b.dst, publish.ProposalOptions{Now: clock})
	if err != nil || len(list) != 1 || list[0].Err != nil || list[0].From != 1 || list[0].Version != 2 || list[0].Tag != tag {
		t.Errorf("%+v, %v", list, err)
	}
}

// A tag of the past goes, unless its manifest has another tag, or is no proposal.
func TestFoldInTidies(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	old := b.next("team-a", func(*tuftest.Repo) {})
	b.pack("tuf.in.team-a.1", ociremote.Content{Title: metadata.Title("team-a", 1), Data: b.repo.Data("team-a")})
	b.put("team-a", old)
	p, err := ociremote.FetchProposal(t.Context(), b.dst, "tuf.in.team-a.2")
	if err != nil {
		t.Fatal(err)
	}
	storeManifest(t, b.dst, "kept", p.Manifest())
	storeManifest(t, b.dst, "tuf.in.team-b.1", foreign)
	b.pack("tuf.in.targets.1", file("team-b", b.repo.Data("team-b"))) // not what the tag says
	storeManifest(t, b.dst, "other.in.team-a.2", p.Manifest())
	result := b.refresh()
	wantTags(t, b.dst, "tuf", result.HistoryTag, "tuf.in.team-a.2", "tuf.in.team-b.1", "tuf.in.targets.1", "kept", "other.in.team-a.2")
}

// Nothing else takes the tag of a proposal for something of its own, whatever the channel
// and the layout.
func TestProposalsAreNothingElse(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	f := b.next("team-a", func(*tuftest.Repo) {})
	b.put("team-a", f)
	file := ociremote.Content{Title: metadata.Title("team-a", 2), Data: f.Data("team-a")}
	for tag, layout := range map[string]ociremote.Layout{"stable.in.team-a.2": ociremote.LayoutGitLab, "beta.in.team-a.2": ociremote.LayoutDefault} {
		p, blobs, err := ociremote.PackProposal([]ociremote.Content{file}, ociremote.PackOptions{Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		for _, blob := range blobs {
			if err := b.dst.Push(t.Context(), blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
				t.Fatal(err)
			}
		}
		storeManifest(t, b.dst, tag, p.Manifest())
	}
	ref := ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: "registry.example.com", Repository: repository}
	plan, err := publish.PlanSync(t.Context(), b.dst, ref, publish.SyncOptions{Tags: "*"})
	if err != nil || len(plan.Add) != 0 || len(plan.Skipped) != 4 {
		t.Errorf("image sync: %+v, %v", plan, err)
	}
	client := trust.Options{Source: trust.RepositorySource(b.dst, "tuf.in.team-a.2")}
	_, err = refresh(t.Context(), b.repo.RootBytes(), client)
	wantErr(t, err, ociremote.ErrForeign)
	b.o.Channel = "stable"
	_, err = publish.Refresh(t.Context(), b.repo.RootBytes(), b.dst, b.o)
	wantErr(t, err, ociremote.ErrNotFound)
	b.o.Channel = channel
	if got := folded(b.refresh()); got != "tuf.in.team-a.2" {
		t.Errorf("folded in %q: channels are mixed", got)
	}
}

// stalling is a repository that never ends an answer about proposals.
type stalling struct {
	ociremote.WritableRepository
	list bool // the list of tags, too
}

func (s stalling) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	if strings.Contains(name, ".in.") {
		<-ctx.Done()
		return ocispec.Descriptor{}, nil, ctx.Err()
	}
	return s.WritableRepository.FetchReference(ctx, name)
}

func (s stalling) Tags(ctx context.Context, last string, fn func([]string) error) error {
	if s.list {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.WritableRepository.Tags(ctx, last, fn)
}

// A registry that never answers about proposals holds up no refresh for long.
func TestFoldInNeverHangs(t *testing.T) {
	t.Parallel()
	for _, list := range []bool{false, true} {
		b := newInbox(t)
		b.put("team-a", b.next("team-a", func(*tuftest.Repo) {}))
		b.o.Force = true
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			result, err := publish.Refresh(t.Context(), b.repo.RootBytes(), stalling{b.dst, list}, b.o)
			if err != nil || result.Unchanged || folded(result) != "" || time.Since(began) > time.Minute {
				t.Errorf("%+v, %v after %s", result, err, time.Since(began))
			}
		})
		wantSaid(t, &b.said, "deadline exceeded")
	}
}

// One request more than without: the list of tags.
func TestFoldInRequests(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	r := a.refresher(time.Hour)
	r.o.Proposals = true
	g.Reset()
	if result := r.refresh(g); !result.Unchanged {
		t.Errorf("%+v", result)
	}
	if n := len(g.Requests()); n != 2 {
		t.Errorf("%d requests, want 2: the head, the tags", n)
	}
}

// Tags that cannot be listed are no reason not to refresh.
func TestFoldInWithoutTags(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	b.o.Force = true
	if _, err := publish.Refresh(t.Context(), b.repo.RootBytes(), refusingTags{b.dst}, b.o); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, &b.said, "the tags cannot be listed")
}

type refusingTags struct{ ociremote.WritableRepository }

func (refusingTags) Tags(context.Context, string, func([]string) error) error {
	return errors.New("no")
}

// However a team's roles delegate to one another, whether a name may stand there is soon
// told: one that may not is refused, and the others are folded in.
func TestFoldInOfManyPaths(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	const circle = 14
	name := func(i int) string { return fmt.Sprintf("circle-%02d", i) }
	f := b.next("team-a", func(r *tuftest.Repo) {
		for i := range circle {
			r.Delegate("team-a", name(i), []string{"charts/*"}, false)
			r.Touch(name(i))
		}
		for i := range circle {
			for k := range circle {
				if i != k {
					r.Delegate(name(i), name(k), []string{"charts/*"}, false)
					r.SetKeys(name(k), []*tuftest.Key{r.Signer("team-a")}, 1)
				}
			}
		}
		r.AddTargetTo(name(circle-1), "charts/x", []byte("x"))
	})
	b.put("team-a", f)
	for i := range circle {
		b.put(name(i), f, "x")
	}
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")
	done := make(chan *publish.Result, 1)
	go func() { done <- b.refresh() }()
	select {
	case result := <-done:
		if got := folded(result); got != "tuf.in.team-b.2" {
			t.Errorf("folded in %q: %s", got, &b.said)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
