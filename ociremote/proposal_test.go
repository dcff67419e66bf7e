package ociremote

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestProposalTag(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		channel, role string
		version       int64
		want          string
	}{
		{"tuf", "apps-shop", 37, "tuf.in.apps-shop.37"},
		{"tuf", "a.7", 1, "tuf.in.a.7.1"},
		{"tuf", "v1", maxVersion, "tuf.in.v1.9007199254740991"},
		{"stable_1", "Team", 2, "stable_1.in.Team.2"},
	} {
		got, err := ProposalTag(c.channel, c.role, c.version)
		if err != nil || got != c.want {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
		role, version, ok := ParseProposalTag(c.channel, got)
		if !ok || role != c.role || version != c.version {
			t.Errorf("%s is read as %q v%d, %v", got, role, version, ok)
		}
		if _, ok := ParseHistoryTag(c.channel, got); ok {
			t.Errorf("%s is a history tag", got)
		}
	}
	for _, role := range []string{"", "a b", "a/b", "ä", strings.Repeat("x", 120)} {
		if tag, err := ProposalTag("tuf", role, 1); !errors.Is(err, ErrInvalidReference) {
			t.Errorf("%q: %q, %v", role, tag, err)
		}
	}
	for _, tag := range []string{
		"tuf", "tuf.v1", "tuf.in", "tuf.in.", "tuf.in.a", "tuf.in.a.", "tuf.in..1", "tuf.in.a.0", "tuf.in.a.01", "tuf.in.a.+1",
		"tuf.in.a.9007199254740992", "tuf.in.a.-1", "beta.in.a.1", "tuf.0123abcd",
	} {
		if role, version, ok := ParseProposalTag("tuf", tag); ok {
			t.Errorf("%s is read as %q v%d", tag, role, version)
		}
	}
}

// What is written is read, and by nobody taken for a bundle, in every layout.
func TestProposal(t *testing.T) {
	t.Parallel()
	files := []Content{
		{Title: "targets/dir/0a.file", Data: []byte("a file")},
		{Title: "metadata/2.team.json", Data: []byte(`{"team":2}`)},
		{Title: "targets/large", Data: noise("large", DefaultMaxManifest)},
	}
	for _, layout := range []Layout{LayoutDefault, LayoutNoData, LayoutGitLab} {
		packed, blobs, err := PackProposal(files, PackOptions{Layout: layout, Annotations: map[string]string{"a": "b"}})
		if err != nil {
			t.Fatal(err)
		}
		repo := NewMemory()
		push(t, repo, packed.content, blobs, "tuf.in.team.2")
		p, err := FetchProposal(t.Context(), repo, "tuf.in.team.2")
		if err != nil || p.Title != "metadata/2.team.json" || !p.SameContent(packed) || p.Annotations()["a"] != "b" {
			t.Fatalf("%s: %+v, %v", layout, p, err)
		}
		for _, f := range files {
			file, ok := p.File(f.Title)
			if data, err := p.Read(t.Context(), repo, file, 1<<20); !ok || err != nil || !bytes.Equal(data, f.Data) {
				t.Errorf("%s: %s: %v", layout, f.Title, err)
			}
			if _, err := p.Read(t.Context(), repo, file, int64(len(f.Data))-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %s over the limit: %v", layout, f.Title, err)
			}
		}
		if _, err := FetchBundle(t.Context(), repo, "tuf.in.team.2", Known{}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: as a bundle: %v", layout, err)
		}
		bundle, blobs := mustPack(t, someFiles(), PackOptions{Layout: layout})
		push(t, repo, bundle, blobs, "tuf")
		if _, err := FetchProposal(t.Context(), repo, "tuf"); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: a bundle as a proposal: %v", layout, err)
		}
	}
}

func TestProposalRefuses(t *testing.T) {
	t.Parallel()
	team := Content{Title: "metadata/2.team.json", Data: []byte("{}")}
	packed, _, err := PackProposal([]Content{team}, PackOptions{Layout: LayoutNoData})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(*ocispec.Manifest)) []byte {
		var m ocispec.Manifest
		if err := json.Unmarshal(packed.Manifest(), &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, c := range map[string]struct {
		manifest []byte
		want     error
	}{
		"later":      {edit(func(m *ocispec.Manifest) { m.ArtifactType = "application/vnd.tufoci.proposal.v2" }), ErrNewerFormat},
		"no version": {edit(func(m *ocispec.Manifest) { delete(m.Annotations, AnnotationProposal) }), ErrMalformed},
		"attached":   {edit(func(m *ocispec.Manifest) { m.Subject = &m.Config }), ErrMalformed},
		"partial":    {edit(func(m *ocispec.Manifest) { m.Annotations[AnnotationPartial] = "true" }), ErrMalformed},
		"two roles": {edit(func(m *ocispec.Manifest) {
			l := m.Layers[len(m.Layers)-1]
			l.Annotations = map[string]string{ocispec.AnnotationTitle: "metadata/2.other.json"}
			m.Layers = append(m.Layers, l)
		}), ErrMalformed},
		"a path": {edit(func(m *ocispec.Manifest) {
			m.Layers[len(m.Layers)-1].Annotations[ocispec.AnnotationTitle] = "metadata/../team.json"
		}), ErrMalformed},
		"not JSON": {[]byte("{"), ErrMalformed},
	} {
		if _, err := ParseProposal(c.manifest); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, _, err := PackProposal([]Content{{Title: "targets/a", Data: []byte("a")}}, PackOptions{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no role: %v", err)
	}
}
