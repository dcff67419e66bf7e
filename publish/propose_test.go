package publish_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// teamKeys are the keys of two teams, by their variables.
var teamKeys = sync.OnceValue(func() map[string]string {
	keys := map[string]string{"TEST_KEY": privateKey()}
	for _, name := range []string{"TEAM_A", "TEAM_B"} {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			panic(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		keys[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return keys
})

// office is a repository with the roles team-a and team-b, each with a key of its own,
// and both, which needs the two keys; and the workspace of its owner.
type office struct {
	t     testing.TB
	owner *author
	dst   ociremote.WritableRepository
}

// officeTemplate is the workspace of the owner after its publish, and what that made.
var officeTemplate = sync.OnceValues(func() (*office, error) {
	dir, err := template()
	if err != nil {
		return nil, err
	}
	if officeDir, err = os.MkdirTemp("", "tufoci-publish-"); err != nil {
		return nil, err
	}
	if err := os.CopyFS(officeDir, os.DirFS(dir)); err != nil {
		return nil, err
	}
	ws, err := metadata.Open(officeDir, metadata.OpenOptions{Now: clock, Env: func(name string) (string, bool) { return teamKeys()[name], true }})
	if err != nil {
		return nil, err
	}
	for name, variable := range map[string]string{"a": "TEAM_A", "b": "TEAM_B"} {
		if _, err := ws.AddKeyURI(name, "env:"+variable, ""); err != nil {
			return nil, err
		}
	}
	for role, keys := range map[string][]string{"team-a": {"a"}, "team-b": {"b"}, "both": {"a", "b"}} {
		if err := ws.AddDelegation(metadata.DelegationOptions{Name: role, Paths: []string{role + "/*"}, Keys: keys, Threshold: len(keys)}); err != nil {
			return nil, err
		}
	}
	o := &office{dst: ociremote.NewMemory()}
	_, err = publish.Publish(context.Background(), ws, o.dst, publish.Options{Now: clock})
	return o, errors.Join(err, ws.Close())
})

var officeDir string

func newOffice(t testing.TB) *office {
	t.Helper()
	made, err := officeTemplate()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, dst: ociremote.NewMemory()}
	b := bundle(t, made.dst, channel)
	all, blobs := map[string][]byte{}, &tuftest.Bundle{Manifest: b.Manifest}
	var m ocispec.Manifest
	if err := json.Unmarshal(b.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	for _, desc := range append(m.Layers, m.Config) {
		if all[desc.Digest.String()], err = ociremote.FetchBlob(t.Context(), made.dst, desc, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	blobs.Blobs = all
	store(t, o.dst, channel, blobs)
	storeManifest(t, o.dst, "tuf.v1", b.Manifest)
	o.owner = o.open(officeDir, "TEST_KEY", "TEAM_A", "TEAM_B")
	return o
}

// open opens a copy of a workspace with some keys at hand.
func (o *office) open(dir string, variables ...string) *author {
	o.t.Helper()
	a := &author{t: o.t, now: now}
	copied := filepath.Join(o.t.TempDir(), "workspace")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		o.t.Fatal(err)
	}
	ws, err := metadata.Open(copied, metadata.OpenOptions{Now: a.clock, Env: func(name string) (string, bool) {
		return teamKeys()[name], slices.Contains(variables, name)
	}})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = ws.Close() })
	a.ws = ws
	return a
}

// team is a copy of the owner's workspace with nothing but one key.
func (o *office) team(variable string) *author {
	o.t.Helper()
	return o.open(o.owner.ws.Dir(), variable)
}

func (o *office) publish() {
	o.t.Helper()
	if _, err := publish.Publish(o.t.Context(), o.owner.ws, o.dst, publish.Options{Now: clock}); err != nil {
		o.t.Fatal(err)
	}
}

// refresh is that of whoever has the online key, and no workspace.
func (o *office) refresh() *publish.Result {
	o.t.Helper()
	r := o.owner.refresher(0)
	result, err := publish.Refresh(o.t.Context(), r.pin, o.dst, publish.RefreshOptions{Keys: r.o.Keys, Now: clock, Proposals: true})
	if err != nil {
		o.t.Fatal(err)
	}
	return result
}

// change stages and signs a target of a role, with the keys that are at hand.
func (a *author) change(role, content string) {
	a.t.Helper()
	a.stage(role, role+"/file", content)
	if _, err := a.ws.Sign(a.t.Context(), []string{role}, nil); err != nil {
		a.t.Fatal(err)
	}
}

func (o *office) try(a *author, role string) (*publish.Proposed, error) {
	o.t.Helper()
	return publish.Propose(o.t.Context(), a.ws, o.dst, role, publish.ProposeOptions{Now: a.clock})
}

func (o *office) propose(a *author, role string) *publish.Proposed {
	o.t.Helper()
	p, err := o.try(a, role)
	if err != nil {
		o.t.Fatal(err)
	}
	return p
}

// refuse checks why a role cannot be proposed, and that nothing came of the try.
func (o *office) refuse(a *author, role string, want error) error {
	o.t.Helper()
	before, tags := a.files(), tagsOf(o.t, o.dst)
	_, err := o.try(a, role)
	wantErr(o.t, err, want)
	if !slices.Equal(tags, tagsOf(o.t, o.dst)) {
		o.t.Errorf("tags are %q, were %q", tagsOf(o.t, o.dst), tags)
	}
	if !maps.Equal(before, a.files()) {
		o.t.Error("the workspace was changed")
	}
	return err
}

// pending are the roles that a workspace has proposed.
func (a *author) pending() string {
	a.t.Helper()
	st, err := a.ws.Status()
	if err != nil {
		a.t.Fatal(err)
	}
	var out []string
	for _, p := range st.Proposed {
		text := p.Role
		if p.Changed {
			text += " changed"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// A team proposes with its own key, changes its mind, and finds its workspace up to
// date once a refresh has folded that in. What else it has staged stays there.
func TestPropose(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	a.stage("both", "both/later", "not yet")
	a.change("team-a", "one")
	first := o.propose(a, "team-a")
	if first.Tag != "tuf.in.team-a.2" || first.From != 1 || first.To != 2 || len(first.Blobs) != 3 || a.pending() != "team-a" {
		t.Errorf("%+v; pending %s", first, a.pending())
	}
	p, err := ociremote.FetchProposal(t.Context(), o.dst, first.Tag)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.File(targetTitle("both/later", "not yet")); ok {
		t.Error("a file of another role was sent")
	}
	a.now = a.now.Add(time.Minute)
	if again := o.propose(a, "team-a"); !again.Unchanged || again.Digest != first.Digest || len(again.Blobs) != 0 {
		t.Errorf("the same again: %+v", again)
	}

	a.change("team-a", "two")
	if a.pending() != "team-a changed" {
		t.Errorf("pending %s", a.pending())
	}
	second := o.propose(a, "team-a")
	if second.Replaced != first.Digest || second.Tag != first.Tag || second.Digest == first.Digest {
		t.Errorf("%+v", second)
	}
	o.refresh()
	wantTarget(t, see(t, o.owner.root1(), o.dst), "team-a/file", "two")

	if done := o.propose(a, "team-a"); !done.Published || done.Tag != "" || a.pending() != "" {
		t.Errorf("%+v; pending %s", done, a.pending())
	}
	st, err := a.ws.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.Roles {
		if staged := map[string]int64{"both": 2}[r.Role]; r.StagedVersion != staged || r.Role == "team-a" && r.BaseVersion != 2 {
			t.Errorf("%s: staged v%d on v%d", r.Role, r.StagedVersion, r.BaseVersion)
		}
	}
	wantErr(t, o.refuse(a, "team-a", metadata.ErrInvalid), metadata.ErrInvalid)
}

// The key of a team signs its role and no other.
func TestProposeWithTheKeyOfTheTeamAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	for _, role := range []string{"", "team-b"} {
		a.stage(role, first(role, "x")+"/file", "of a")
	}
	for _, role := range []string{"targets", "team-b"} {
		if _, err := a.ws.Sign(t.Context(), []string{role}, []string{"a"}); !errors.Is(err, metadata.ErrKeyMissing) {
			t.Errorf("%s: signed with the key of team-a: %v", role, err)
		}
		err := o.refuse(a, role, metadata.ErrNeedSignatures)
		if need, ok := errors.AsType[*metadata.NeedSignaturesError](err); !ok || need.Roles[0].Rules[0].Have != 0 {
			t.Errorf("%s: %v", role, err)
		}
	}
	// Two of two: who is missing has a name.
	a.change("both", "of a")
	err := o.refuse(a, "both", metadata.ErrNeedSignatures)
	need, _ := errors.AsType[*metadata.NeedSignaturesError](err)
	for _, k := range need.Roles[0].Rules[0].Keys {
		if k.Signed != (k.Name == "a") {
			t.Errorf("key %q signed: %v", k.Name, k.Signed)
		}
	}
	// It publishes nothing either.
	if _, err := publish.Publish(t.Context(), a.ws, o.dst, publish.Options{Now: clock}); err == nil {
		t.Error("a publish without the online key succeeded")
	}
}

func first(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func TestProposeRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	for _, role := range []string{"root", "snapshot", "timestamp"} {
		o.refuse(a, role, metadata.ErrProposal)
	}
	o.refuse(a, "nobody", metadata.ErrInvalid)
	o.refuse(a, "Odd role", ociremote.ErrInvalidReference)
	o.refuse(a, strings.Repeat("x", 130), ociremote.ErrInvalidReference)

	// A role that the head does not delegate to.
	a.delegate("mine", 0)
	o.refuse(a, "mine", metadata.ErrNoRole)
	o.refuse(a, "mine", metadata.ErrProposal)

	// One that has expired, and one that has moved.
	late := o.team("TEAM_A")
	late.change("team-a", "late")
	late.now = late.now.Add(400 * day)
	o.refuse(late, "team-a", metadata.ErrProposal)
	o.owner.change("team-a", "of the owner")
	o.publish()
	late.now = now
	o.refuse(late, "team-a", publish.ErrConflict)

	// One that people are signing.
	frozen := o.team("TEAM_A")
	frozen.change("team-a", "frozen")
	id := strings.Repeat("f", 64)
	if err := frozen.ws.Freeze(metadata.Freeze{ID: id, Message: "why"}, "team-a"); err != nil {
		t.Fatal(err)
	}
	o.refuse(frozen, "team-a", metadata.ErrFrozen)
	if err := frozen.ws.Unfreeze(id); err != nil {
		t.Fatal(err)
	}
	o.propose(frozen, "team-a")

	// A policy that clients would refuse.
	o.owner.stage("", "notation/trustpolicy.json", "{")
	if _, err := o.owner.ws.Sign(t.Context(), []string{"targets"}, nil); err != nil {
		t.Fatal(err)
	}
	o.refuse(o.owner, "targets", metadata.ErrLint)

	// What somebody else has put under the tag.
	one, two := o.team("TEAM_B"), o.team("TEAM_B")
	one.change("team-b", "one")
	two.change("team-b", "two")
	theirs := o.propose(one, "team-b")
	err := o.refuse(two, "team-b", publish.ErrPending)
	if e, ok := errors.AsType[*publish.PendingError](err); !ok || e.Theirs != theirs.Digest || !e.Since.Equal(now) {
		t.Errorf("%v", err)
	}
	storeManifest(t, o.dst, theirs.Tag, bundle(t, o.dst, channel).Manifest)
	o.refuse(one, "team-b", publish.ErrForeignTag)

	// Nothing to propose to.
	o.dst = ociremote.NewMemory()
	o.refuse(one, "team-b", publish.ErrHeadMissing)
}

// A key that was rotated proposes nothing any more, what it had proposed is not folded in,
// and whoever staged it is told that the role has moved.
func TestProposeUnderARotatedKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	a.change("team-a", "by the old key")
	o.propose(a, "team-a")
	if _, err := o.owner.ws.RotateKey("a", "b", "team-a"); err != nil {
		t.Fatal(err)
	}
	o.publish()
	if result := o.refresh(); len(result.Proposals) > 0 || !result.Unchanged {
		t.Errorf("%+v", result)
	}
	o.refuse(a, "team-a", publish.ErrConflict)
	next := o.team("TEAM_A")
	next.change("team-a", "by the old key")
	o.refuse(next, "team-a", metadata.ErrNeedSignatures)
	next = o.team("TEAM_B")
	next.change("team-a", "by the new key")
	o.propose(next, "team-a")
	o.refresh()
	wantTarget(t, see(t, o.owner.root1(), o.dst), "team-a/file", "by the new key")
	for _, tag := range tagsOf(t, o.dst) {
		if strings.HasPrefix(tag, "tuf.in.") {
			t.Errorf("tag %s is left", tag)
		}
	}
}

// Killed before or after the tag was written, a workspace knows its own proposal.
func TestProposeAfterAKill(t *testing.T) {
	t.Parallel()
	for _, sent := range []bool{false, true} {
		o := newOffice(t)
		a := o.team("TEAM_A")
		a.change("team-a", "one")
		dying := publish.ProposeOptions{Now: clock}
		if _, err := publish.Propose(t.Context(), a.ws, dyingAtTag{o.dst, sent}, "team-a", dying); err == nil {
			t.Fatal("it did not die")
		}
		if a.pending() != "" {
			t.Errorf("sent %v: pending %s", sent, a.pending())
		}
		a.now = a.now.Add(time.Minute)
		a.change("team-a", "two")
		if p := o.propose(a, "team-a"); (p.Replaced != "") != sent || a.pending() != "team-a" {
			t.Errorf("sent %v: %+v", sent, p)
		}
	}
}

// What others have published of another role that is staged here keeps nobody from
// proposing this one, and is not lost.
func TestProposeBesideAConflict(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	a.stage("both", "both/mine", "mine")
	a.change("team-a", "one")
	o.owner.change("both", "theirs")
	o.publish()
	var said warnings
	p, err := publish.Propose(t.Context(), a.ws, o.dst, "team-a", publish.ProposeOptions{Now: clock, Warn: said.add})
	if err != nil || p.Tag != "tuf.in.team-a.2" {
		t.Fatalf("%+v, %v", p, err)
	}
	wantSaid(t, &said, "both moved from v1 to v2 since you staged v2")
	if got, err := a.ws.Targets(metadata.TargetFilter{Role: "both"}); err != nil || len(got) != 1 || !got[0].Staged {
		t.Errorf("staged in both: %+v, %v", got, err)
	}
	a = o.open(a.ws.Dir()) // the workspace opens
	if a.pending() != "team-a" {
		t.Errorf("pending %s", a.pending())
	}
	o.refresh()
	wantTarget(t, see(t, o.owner.root1(), o.dst), "team-a/file", "one")
}

// A role and the one that it newly delegates to are proposed one after the other.
func TestProposeNested(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	err := a.ws.AddDelegation(metadata.DelegationOptions{Name: "a-sub", Parent: "team-a", Paths: []string{"team-a/*"}, Keys: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	a.stage("a-sub", "team-a/deep", "deep")
	if _, err := a.ws.Sign(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	o.refuse(a, "a-sub", metadata.ErrNoRole)
	var said warnings
	if _, err := publish.Propose(t.Context(), a.ws, o.dst, "team-a", publish.ProposeOptions{Now: clock, Warn: said.add}); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, &said, "team-a delegates to a-sub, which nobody has made yet")
	if result := o.refresh(); folded(result) != "" {
		t.Errorf("folded in %q", folded(result))
	}
	o.propose(a, "a-sub")
	o.refresh()
	wantTarget(t, see(t, o.owner.root1(), o.dst), "team-a/deep", "deep")
}

// A dry run says what would be sent, and changes nothing.
func TestProposeDryRun(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.team("TEAM_A")
	a.change("team-a", "one")
	before := a.files()
	p, err := publish.Propose(t.Context(), a.ws, o.dst, "team-a", publish.ProposeOptions{Now: clock, DryRun: true})
	if err != nil || p.Tag != "tuf.in.team-a.2" || p.Bytes == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if !maps.Equal(before, a.files()) || len(tagsOf(t, o.dst)) != 2 {
		t.Error("a dry run wrote")
	}
}

// dyingAtTag is a registry that is gone when the tag of a proposal is written, before
// that or after it.
type dyingAtTag struct {
	ociremote.WritableRepository
	after bool
}

func (d dyingAtTag) PushReference(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string) error {
	if d.after {
		_ = d.WritableRepository.PushReference(ctx, desc, r, name)
	}
	return errDied
}

func (d dyingAtTag) Resolve(context.Context, string) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, errDied
}

var errDied = errors.New("died")
