package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxReferrerDepth is how far referrers of referrers are followed: a signature of
	// an SBOM of an image is at depth 2.
	maxReferrerDepth = 3
	// maxUnsigned is how much is copied of what refers to one image, in bytes: nothing
	// has signed it, and anybody who can push can attach.
	maxUnsigned = 1 << 30
)

// refer makes what refers to a manifest be at the destination. standing: that was
// there before, so that some of it may be too.
func (j *job) refer(ctx context.Context, subject ocispec.Descriptor, depth int, standing bool) error {
	wanted, err := j.wanted(ctx, subject)
	if err != nil || len(wanted) == 0 {
		return err
	}
	there := map[digest.Digest]bool{}
	if standing {
		if there, err = j.standing(ctx, subject); err != nil {
			return err
		}
	}
	for _, d := range wanted {
		err := j.referrer(ctx, d, subject, there[d.Digest])
		switch {
		case err == nil:
		case j.good[d.Digest] || !avoidable(err):
			return fmt.Errorf("referrer %s: %w", d.Digest, err)
		default:
			j.c.warn(fmt.Sprintf("%s: referrer %s is left out: %v", j.image, d.Digest, err))
			continue
		}
		if j.c.o.Referrers && depth < maxReferrerDepth {
			if err := j.refer(ctx, d, depth+1, there[d.Digest]); err != nil {
				return err
			}
		}
	}
	return nil
}

// wanted lists the referrers that are copied.
func (j *job) wanted(ctx context.Context, subject ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var wanted []ocispec.Descriptor
	for _, types := range j.types() {
		list, err := j.from.ListReferrers(ctx, subject, ociremote.ReferrersOptions{ArtifactTypes: types, Max: maxReferrers, MaxPages: maxPages})
		if err != nil {
			return nil, fmt.Errorf("referrers of %s: %w", subject.Digest, err)
		}
		if list.Truncated {
			return nil, fmt.Errorf("referrers of %s: more than %d, on %d pages: %w", subject.Digest, maxReferrers, maxPages, ErrEndless)
		}
		for _, d := range list.Descriptors {
			if !slices.ContainsFunc(wanted, func(o ocispec.Descriptor) bool { return o.Digest == d.Digest }) {
				wanted = append(wanted, d)
			}
		}
	}
	return wanted, nil
}

// types are those that are asked for, one list each. nil is all.
func (j *job) types() [][]string {
	if j.c.o.Referrers {
		return [][]string{{material.SignatureType}, nil}
	}
	return [][]string{{material.SignatureType}, {ociremote.MediaTypeBundle}}
}

// standing are the referrers that the destination lists. A list that breaks the rules
// is none: what belongs there is sent.
func (j *job) standing(ctx context.Context, subject ocispec.Descriptor) (map[digest.Digest]bool, error) {
	list, err := ociremote.Referrers(ctx, j.to.repo, subject, ociremote.ReferrersOptions{Max: maxReferrers, MaxPages: maxPages})
	there := map[digest.Digest]bool{}
	switch {
	case errors.Is(err, ociremote.ErrMalformed), isNotFound(err):
		return there, nil
	case err != nil:
		return nil, fmt.Errorf("at the destination: %w", err)
	}
	for _, d := range list.Descriptors {
		there[d.Digest] = true
	}
	return there, nil
}

// referrer makes one referrer be there.
func (j *job) referrer(ctx context.Context, d, subject ocispec.Descriptor, there bool) error {
	if there {
		// By its own word, which is only counted.
		j.count(d.ArtifactType)
		return nil
	}
	m, err := ociremote.FetchManifest(ctx, j.from, d.Digest.String())
	if err != nil {
		return err
	}
	if m.Subject == nil || m.Subject.Digest != subject.Digest {
		return fmt.Errorf("%w: it names another subject", errLeftOut)
	}
	artifactType := typeOf(m)
	if !j.c.o.Referrers && artifactType != material.SignatureType && artifactType != ociremote.MediaTypeBundle {
		return nil // the list did not say its type
	}
	if err := j.content(ctx, m, 0, j.spend); err != nil {
		return err
	}
	if err := j.to.pushReferrer(ctx, m, artifactType); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Descriptor.Digest, err)
	}
	j.wrote(m)
	j.count(artifactType)
	return nil
}

func (j *job) count(artifactType string) {
	switch artifactType {
	case material.SignatureType:
		j.r.Signatures++
	case ociremote.MediaTypeBundle:
		j.r.Attachments++
	default:
		j.r.Referrers++
	}
}

// spend bounds what is copied without a signature.
func (j *job) spend(bytes int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if bytes < 0 || bytes > j.unsigned {
		return fmt.Errorf("%w: more than %d bytes refer to the image: %w", errLeftOut, int64(maxUnsigned), ociremote.ErrTooLarge)
	}
	j.unsigned -= bytes
	return nil
}

// typeOf is the artifact type of a manifest, or else the type of its config. That of a
// signature counts wherever it stands; a bundle of [ociremote.LayoutGitLab] has that of
// an image, and an annotation.
func typeOf(m *ociremote.Manifest) string {
	var manifest struct {
		ArtifactType string
		Config       struct{ MediaType string }
		Annotations  map[string]string
	}
	if err := json.Unmarshal(m.Data, &manifest); err != nil {
		return ""
	}
	switch {
	case manifest.Config.MediaType == material.SignatureType:
		return material.SignatureType
	case manifest.Config.MediaType == ocispec.MediaTypeImageConfig && manifest.Annotations[ociremote.AnnotationVersion] != "":
		return ociremote.MediaTypeBundle
	}
	return cmp.Or(manifest.ArtifactType, manifest.Config.MediaType)
}

// avoidable reports that an error is of the referrer itself, and not of the way to a
// registry: without it the image is as good as with it.
func avoidable(err error) bool {
	if e, ok := errors.AsType[*ociremote.TransportError](err); ok {
		// The destination does not take it.
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusTooManyRequests
	}
	return errors.Is(err, errLeftOut) || errors.Is(err, ociremote.ErrMalformed) || errors.Is(err, ociremote.ErrTooLarge) ||
		errors.Is(err, ErrEndless) || isNotFound(err)
}
