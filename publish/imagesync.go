package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// maxSyncTags is how many tags one plan takes: each costs a request.
const maxSyncTags = 10_000

// SyncOptions steer [PlanSync].
type SyncOptions struct {
	// Tags is a pattern of tags in the manner of [path.Match].
	Tags string
	// Signed are the tags of the repository that are signed, with their digests.
	Signed map[string]string
	// Replace are moved tags that are to be signed as the registry has them now.
	Replace []string
	// Verify refuses an image that is not to be signed by an error; the reference has its digest. Nil: all are.
	Verify func(ctx context.Context, ref ociremote.ImageReference) error
	FetchOptions
}

// SyncPlan compares the tags of a registry with those that are signed. Each list is sorted by tag.
type SyncPlan struct {
	// Add are tags that are not signed yet.
	Add []*Image
	// Moved are tags that the registry serves with another digest than the signed one.
	Moved []MovedTag
	// Gone are signed tags that the registry does not have any more, with their digests. They stay signed.
	Gone []SignedTag
	// Unchanged are tags that are signed as they are served.
	Unchanged []string
	// Skipped are tags that name no image, or none that verifies.
	Skipped []SkippedTag
}

// MovedTag is a tag that was moved behind the publisher's back, or by the publisher.
type MovedTag struct {
	Tag, Signed, Served string
	// Image is set if it is to be replaced.
	Image *Image
}

// SignedTag is a tag with its signed digest.
type SignedTag struct{ Tag, Digest string }

// SkippedTag says why a tag is not signed.
type SkippedTag struct {
	Tag, Reason string
	// Refused: Verify said no.
	Refused bool
}

// Entries are what the plan stages. A moved tag is among them only if it was named.
func (p *SyncPlan) Entries() []metadata.ImageEntry {
	var out []metadata.ImageEntry
	for _, image := range p.Add {
		out = append(out, image.Entries(false)...)
	}
	for _, moved := range p.Moved {
		if moved.Image != nil {
			out = append(out, moved.Image.Entries(true)...)
		}
	}
	return out
}

// tagLister is a repository that can list its tags.
type tagLister interface {
	Tags(ctx context.Context, last string, fn func(tags []string) error) error
}

// PlanSync reads which tags a repository has and what they name: new ones with a GET each, signed ones with a HEAD,
// since nothing of what the registry says of these is taken over. ref names the repository.
//
// A moved tag that Replace does not name is only listed: to sign what a registry serves now is what an attacker wants.
// A tag that holds something of tufoci, or a signature, is no image.
//
// Errors: [metadata.ErrInvalid] for a bad pattern or a tag of Replace that has not moved, [ErrNoImage] for a repository
// that does not exist, and those of [FetchImages].
func PlanSync(ctx context.Context, repo ociremote.Repository, ref ociremote.ImageReference, o SyncOptions) (*SyncPlan, error) {
	s := &syncing{repo: repo, ref: ref, o: o, plan: &SyncPlan{}}
	tags, err := s.tags(ctx)
	if err != nil {
		return nil, err
	}
	looks := make([]look, len(tags))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(concurrency(o.Concurrency))
	for n, tag := range tags {
		group.Go(func() (err error) {
			looks[n], err = s.look(inner, tag)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for n, tag := range tags {
		s.file(tag, looks[n])
	}
	s.gone(tags, looks)
	return s.plan, s.checkReplaced()
}

// syncing is the making of one plan.
type syncing struct {
	repo ociremote.Repository
	ref  ociremote.ImageReference
	o    SyncOptions
	plan *SyncPlan
}

// tags lists the tags of the registry that match, sorted.
func (s *syncing) tags(ctx context.Context) ([]string, error) {
	if _, err := path.Match(s.o.Tags, ""); err != nil {
		return nil, fmt.Errorf("%w: pattern of tags %q: %v", metadata.ErrInvalid, s.o.Tags, err)
	}
	lister, ok := s.repo.(tagLister)
	if !ok {
		return nil, fmt.Errorf("%w: %s cannot list its tags", metadata.ErrInvalid, s.ref.Name())
	}
	var out []string
	err := lister.Tags(ctx, "", func(page []string) error {
		for _, tag := range page {
			if s.matches(tag) {
				out = append(out, tag)
			}
		}
		if len(out) > maxSyncTags {
			return fmt.Errorf("%w: more than %d tags match %q; take them in parts", metadata.ErrInvalid, maxSyncTags, s.o.Tags)
		}
		return nil
	})
	if te, ok := errors.AsType[*ociremote.TransportError](err); ok && te.Status == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %s: no such repository", ErrNoImage, s.ref.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", s.ref.Name(), err)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (s *syncing) matches(tag string) bool {
	ok, err := path.Match(s.o.Tags, tag)
	return ok && err == nil
}

// look is what the registry has under a tag.
type look struct {
	served  digest.Digest // "": nothing
	image   *Image        // if it was read
	skip    string
	refused bool
}

// look asks for one tag.
func (s *syncing) look(ctx context.Context, tag string) (look, error) {
	if reason := notImageTag(tag); reason != "" {
		return look{skip: reason}, nil
	}
	ref := s.ref
	ref.Tag = tag
	if s.o.Signed[tag] != "" && !slices.Contains(s.o.Replace, tag) {
		desc, err := s.repo.Resolve(ctx, tag)
		if errors.Is(err, ociremote.ErrNotFound) {
			return look{}, nil
		}
		if err != nil {
			return look{}, imageError(ref, err)
		}
		return look{served: desc.Digest}, nil
	}
	image, err := fetchImage(ctx, s.repo, ImageRequest{Reference: ref, Repository: ref.Repository, Tag: tag}, s.o.AllPlatforms)
	if errors.Is(err, ErrNoImage) {
		return look{skip: err.Error()}, nil
	}
	if err != nil {
		return look{}, err
	}
	found := look{served: image.Manifest.Descriptor.Digest, image: image}
	if kind := artifactType(image.Manifest); kind != "" {
		return look{skip: "no image: " + kind}, nil
	}
	return found, s.verify(ctx, &found)
}

// notImageTag says what a tag is for, if not for an image: trust of tufoci (layout v1, "Next to images"), or the tags
// under which signatures and other referrers lie in registries without the referrers API.
func notImageTag(tag string) string {
	switch {
	case tag == ociremote.DefaultChannel || strings.HasPrefix(tag, ociremote.DefaultChannel+"."):
		return "no image: trust of tufoci"
	case strings.HasPrefix(tag, "sha256-"):
		return "no image: referrers of one"
	}
	return ""
}

// verify asks whether an image may be signed. That a registry cannot be asked is no answer.
func (s *syncing) verify(ctx context.Context, found *look) error {
	if s.o.Verify == nil || found.served.String() == s.o.Signed[found.image.Tag] {
		return nil
	}
	ref := found.image.Reference
	ref.Digest = found.served
	err := s.o.Verify(ctx, ref)
	_, isTransport := errors.AsType[*ociremote.TransportError](err)
	_, isAuth := errors.AsType[*ociremote.AuthError](err)
	if isTransport || isAuth || ctx.Err() != nil {
		return err
	}
	if err != nil {
		found.skip, found.refused = err.Error(), true
	}
	return nil
}

// file puts a tag where it belongs in the plan.
func (s *syncing) file(tag string, l look) {
	signed := s.o.Signed[tag]
	if l.skip != "" {
		s.plan.Skipped = append(s.plan.Skipped, SkippedTag{Tag: tag, Reason: l.skip, Refused: l.refused})
	}
	switch {
	case l.refused && signed != "":
		s.plan.Moved = append(s.plan.Moved, MovedTag{Tag: tag, Signed: signed, Served: l.served.String()})
	case l.skip != "" || l.served == "":
	case signed == "":
		s.plan.Add = append(s.plan.Add, l.image)
	case signed == l.served.String():
		s.plan.Unchanged = append(s.plan.Unchanged, tag)
	default:
		s.plan.Moved = append(s.plan.Moved, MovedTag{Tag: tag, Signed: signed, Served: l.served.String(), Image: l.image})
	}
}

// gone lists the signed tags that match and that the registry does not have.
func (s *syncing) gone(tags []string, looks []look) {
	for _, tag := range slices.Sorted(maps.Keys(s.o.Signed)) {
		n, listed := slices.BinarySearch(tags, tag)
		if s.matches(tag) && (!listed || looks[n].served == "" && looks[n].skip == "") {
			s.plan.Gone = append(s.plan.Gone, SignedTag{Tag: tag, Digest: s.o.Signed[tag]})
		}
	}
}

// checkReplaced refuses a tag of Replace that has not moved: whoever names it expects something else.
func (s *syncing) checkReplaced() error {
	for _, tag := range s.o.Replace {
		moved := slices.ContainsFunc(s.plan.Moved, func(m MovedTag) bool { return m.Tag == tag })
		same := slices.Contains(s.plan.Unchanged, tag)
		if !moved && !same {
			return fmt.Errorf("%w: tag %q is not one that has moved", metadata.ErrInvalid, tag)
		}
	}
	return nil
}
