package metadata

import (
	"fmt"
	"slices"
	"strings"
)

// ImageInUseError says which tags vouch for a digest. It Is ErrImageInUse.
type ImageInUseError struct {
	Name string   // REPOSITORY@sha256:HEX
	Tags []string // REPOSITORY:TAG
}

func (e *ImageInUseError) Error() string {
	return fmt.Sprintf("%s is also signed as %s: without the entry of its digest the image would still be vouched for", e.Name, strings.Join(e.Tags, ", "))
}

// Is reports that the error is an ErrImageInUse.
func (e *ImageInUseError) Is(target error) bool { return target == ErrImageInUse }

// RemoveImageOptions are the optional parts of a removal of images.
type RemoveImageOptions struct {
	// Role from which entries are removed. Default: every role that lists them.
	Role string
	// KeepDigest leaves the entries of the digests that removed tags have.
	KeepDigest bool
}

// RemoveImages stages the removal of images by REPOSITORY:TAG or REPOSITORY@sha256:HEX, all or nothing. With a tag goes
// the entry of its digest, unless another tag of the repository has that digest, and with that of an index the entries
// of its platforms. ErrNoTarget, ErrImageInUse, ErrNoRole, ErrInvalid.
func (w *Workspace) RemoveImages(names []string, o RemoveImageOptions) (*ImageChange, error) {
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	byRepository := map[string][]string{}
	for _, name := range names {
		if err := checkImageName(name); err != nil {
			return nil, err
		}
		repository := imageNameRE.FindStringSubmatch(name)[1]
		byRepository[repository] = append(byRepository[repository], name)
	}
	if o.Role != "" {
		if _, err := w.view().rules(o.Role); err != nil {
			return nil, err
		}
	}
	var change ImageChange
	for repository, names := range byRepository {
		all, err := w.Images(ImageFilter{Repository: repository})
		if err != nil {
			return nil, err
		}
		r := imageRemoval{all: all, gone: make([]bool, len(all)), o: o}
		if err := r.remove(names); err != nil {
			return nil, err
		}
		r.report(&change)
	}
	slices.SortFunc(change.Removed, compareImages)
	slices.SortFunc(change.Kept, compareImages)
	removed := make([]Target, len(change.Removed))
	for n, i := range change.Removed {
		removed[n] = i.Target
	}
	if err := e.removeEntries(removed); err != nil {
		return nil, err
	}
	return &change, e.commit()
}

// imageRemoval works out which entries of one repository go.
type imageRemoval struct {
	all  []Image
	gone []bool   // of all
	kept []string // digests of removed tags
	o    RemoveImageOptions
}

// remove settles names: the tags first, which digests can depend on.
func (r *imageRemoval) remove(names []string) error {
	var digests []string // that may have lost their last entry
	for _, byDigest := range []bool{false, true} {
		for _, name := range names {
			if strings.Contains(name, "@") != byDigest {
				continue
			}
			removed := r.mark(func(i Image) bool { return i.Name == name })
			if len(removed) == 0 {
				return r.missing(name)
			}
			for _, i := range removed {
				digests = append(digests, i.Digest)
			}
			if byDigest {
				if tags := r.tags(removed[0].Digest); len(tags) > 0 {
					return &ImageInUseError{Name: name, Tags: tags}
				}
			}
		}
		if !byDigest {
			r.dropDigests(digests)
		}
	}
	r.dropPlatforms(digests)
	return nil
}

// mark marks entries that are to go, in the roles from which entries are removed.
func (r *imageRemoval) mark(selects func(Image) bool) []Image {
	var out []Image
	for n, i := range r.all {
		if selects(i) && (r.o.Role == "" || r.o.Role == i.Role) {
			r.gone[n] = true
			out = append(out, i)
		}
	}
	return out
}

func (r *imageRemoval) missing(name string) error {
	if r.o.Role == "" {
		return fmt.Errorf("%w: image %q is not signed", ErrNoTarget, name)
	}
	return fmt.Errorf("%w: image %q is not listed by role %q", ErrNoTarget, name, r.o.Role)
}

// tags lists the names with a tag that stay and have the digest.
func (r *imageRemoval) tags(digest string) []string {
	var out []string
	for n, i := range r.all {
		if !r.gone[n] && i.Tag != "" && i.Digest == digest && !slices.Contains(out, i.Name) {
			out = append(out, i.Name)
		}
	}
	return out
}

// dropDigests removes the entries of digests that no tag has any more.
func (r *imageRemoval) dropDigests(digests []string) {
	for _, digest := range digests {
		if r.o.KeepDigest || len(r.tags(digest)) > 0 {
			r.kept = append(r.kept, digest)
			continue
		}
		r.mark(func(i Image) bool { return i.Tag == "" && i.Digest == digest })
	}
}

// dropPlatforms removes the entries of the platforms of indexes that have no entry any more, but for those that a tag
// names.
func (r *imageRemoval) dropPlatforms(digests []string) {
	for _, digest := range digests {
		if !r.stays(digest) {
			r.mark(func(i Image) bool { return i.Index == digest && len(r.tags(i.Digest)) == 0 })
		}
	}
}

// stays reports whether an entry with the digest is left.
func (r *imageRemoval) stays(digest string) bool {
	for n, i := range r.all {
		if !r.gone[n] && i.Digest == digest {
			return true
		}
	}
	return false
}

func (r *imageRemoval) report(change *ImageChange) {
	for n, i := range r.all {
		switch {
		case r.gone[n]:
			change.Removed = append(change.Removed, i)
		case i.Tag == "" && slices.Contains(r.kept, i.Digest):
			change.Kept = append(change.Kept, i)
		}
	}
}
