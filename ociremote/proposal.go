package ociremote

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// AnnotationProposal has the format version of a proposal. It stands where a bundle
// has [AnnotationVersion], so that in no layout the one can be taken for the other.
const AnnotationProposal = "io.tufoci.proposal"

var proposalForm = form{
	name: "proposal", artifactType: MediaTypeProposal, version: AnnotationProposal,
	later: regexp.MustCompile(`^application/vnd\.tufoci\.proposal\.v([1-9][0-9]{0,8}(?:\.[0-9]{1,9})?)$`),
}

// Proposal is the next version of one role, with the target files that are new with
// it: a manifest as that of a bundle, which no reader takes for one. Nothing in it is
// trusted. It is not to be changed, and safe for concurrent reading.
type Proposal struct {
	// Title is that of the role's file, its only one below metadata/.
	Title string

	content *Bundle
}

// ProposalTag is the tag under which a version of a role is proposed to a channel,
// such as "tuf.in.apps-shop.37". A role whose name does not fit into a tag is an
// [ErrInvalidReference].
func ProposalTag(channel, role string, version int64) (string, error) {
	tag := proposalPrefix(channel) + role + "." + strconv.FormatInt(version, 10)
	if role == "" || !tagName.MatchString(tag) {
		return "", fmt.Errorf("%w: %q cannot be a tag: a tag has letters, digits, '.', '_' and '-', and at most 128 of them", ErrInvalidReference, shorten(tag))
	}
	return tag, nil
}

// ParseProposalTag is the inverse of [ProposalTag]: the role, its version from 1 to
// 2^53-1, and whether tag is one of a proposal to the channel.
func ParseProposalTag(channel, tag string) (role string, version int64, ok bool) {
	rest, ok := strings.CutPrefix(tag, proposalPrefix(channel))
	if !ok {
		return "", 0, false
	}
	i := strings.LastIndexByte(rest, '.')
	if i <= 0 {
		return "", 0, false
	}
	version, err := strconv.ParseInt(rest[i+1:], 10, 64)
	if err != nil || version < 1 || version > maxVersion {
		return "", 0, false
	}
	if made, err := ProposalTag(channel, rest[:i], version); err != nil || made != tag {
		return "", 0, false
	}
	return rest[:i], version, true
}

// proposalPrefix starts the tags of proposals. A channel has no dot, so that those of
// two channels never meet, nor a proposal and a history tag.
func proposalPrefix(channel string) string { return channel + ".in." }

// PackProposal makes a proposal of files in any order, one of which is below
// metadata/, and the blobs that have to be pushed before its manifest; see [Pack].
func PackProposal(files []Content, o PackOptions) (*Proposal, []Blob, error) {
	b, blobs, err := proposalForm.pack(files, o)
	if err != nil {
		return nil, nil, err
	}
	p, err := newProposal(b)
	return p, blobs, err
}

// ParseProposal reads the manifest of a proposal, as strictly as [ParseBundle] does
// that of a bundle and with the same errors.
func ParseProposal(manifest []byte) (*Proposal, error) {
	b, err := proposalForm.parse(manifest, Bounds{})
	if err != nil {
		return nil, err
	}
	return newProposal(b)
}

// FetchProposal reads the proposal under a tag or digest, in one request. The errors
// are those of [FetchBundle].
func FetchProposal(ctx context.Context, repo Repository, name string) (*Proposal, error) {
	m, err := fetchManifest(ctx, repo, name, Known{}, Bounds{})
	if err != nil {
		return nil, err
	}
	p, err := ParseProposal(m.data)
	if err != nil {
		return nil, err
	}
	return p, p.content.loadInline(ctx, repo)
}

// newProposal holds what was read to the shape of a proposal.
func newProposal(b *Bundle) (*Proposal, error) {
	p := &Proposal{content: b}
	malformed := func(why string) error { return &MalformedError{What: proposalForm.name, Err: errors.New(why)} }
	for _, f := range b.Files {
		if !strings.HasPrefix(f.Title, metadataPrefix) {
			continue
		}
		if p.Title != "" {
			return nil, malformed("more than one metadata file")
		}
		p.Title = f.Title
	}
	switch {
	case p.Title == "":
		return nil, malformed("no metadata file")
	case b.Partial || b.Subject != nil:
		return nil, malformed("partial, or attached to something")
	}
	return p, nil
}

// Descriptor of the manifest.
func (p *Proposal) Descriptor() ocispec.Descriptor { return p.content.Descriptor }

// Manifest as it was received, byte for byte.
func (p *Proposal) Manifest() []byte { return p.content.Manifest }

// Annotations of the manifest. Not trusted.
func (p *Proposal) Annotations() map[string]string { return p.content.Annotations }

// Held is how many bytes of it are in memory, see [Bundle.Held].
func (p *Proposal) Held() int64 { return p.content.Held() }

// File finds a file by its title.
func (p *Proposal) File(title string) (File, bool) { return p.content.File(title) }

// SameContent reports whether both have the same files, see [Bundle.SameContent].
func (p *Proposal) SameContent(o *Proposal) bool { return p.content.SameContent(o.content) }

// Read reads a file of the proposal of at most max bytes, from its inline layer or
// from the repository that it was fetched from. The errors are those of [FetchBlob].
func (p *Proposal) Read(ctx context.Context, repo Repository, f File, max int64) ([]byte, error) {
	if data, ok := p.content.Inline(f.Title); ok && f.Descriptor.Size <= max {
		return data, nil
	}
	return FetchBlob(ctx, repo, f.Descriptor, max)
}
