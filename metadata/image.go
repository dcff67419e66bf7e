package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Image is one signed entry of an image: its manifest or index, under a tag or under its digest.
type Image struct {
	Target
	Name       string // REPOSITORY:TAG or REPOSITORY@sha256:HEX, its path without images/
	Repository string // without a host
	Tag        string // "" for an entry by digest
	Digest     string // "sha256:" and hex, of the manifest's bytes
	MediaType  string // "" where the entry does not say it
	Index      string // digest of the index that has it as the manifest of a platform; "" for an image that stands for itself
}

// imageCustom is the custom object of an image entry, layout v1.
type imageCustom struct {
	Tufoci struct {
		Index     string `json:"index,omitempty"`
		MediaType string `json:"mediaType"`
	} `json:"tufoci"`
}

// newImage takes an entry apart; ok is false for one that is not of an image. What its custom object says is only
// shown, so that one of another program does not matter.
func newImage(t Target) (image Image, ok bool) {
	name, ok := strings.CutPrefix(t.Path, imagesPrefix)
	m := imageNameRE.FindStringSubmatch(name)
	if !ok || m == nil || t.SHA256 == "" {
		return Image{}, false
	}
	image = Image{Target: t, Name: name, Repository: m[1], Tag: m[2], Digest: digestOf(t.SHA256)}
	var custom imageCustom
	if json.Unmarshal(t.Custom, &custom) == nil {
		image.MediaType, image.Index = custom.Tufoci.MediaType, custom.Tufoci.Index
	}
	return image, true
}

func digestOf(sum string) string { return "sha256:" + sum }

func digestName(repository, sum string) string { return repository + "@" + digestOf(sum) }

// checkImageName holds a name that a person gave to REPOSITORY:TAG or REPOSITORY@sha256:HEX.
func checkImageName(name string) error {
	m := imageNameRE.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%w: image %q: want REPOSITORY:TAG or REPOSITORY@sha256:HEX, without a host", ErrInvalid, name)
	}
	return checkImagePath(imagesPrefix+name, m[3])
}

// Image looks an image up, as a client does: by REPOSITORY:TAG or REPOSITORY@sha256:HEX. ErrNoTarget, ErrInvalid.
func (w *Workspace) Image(name string) (*Image, error) {
	if err := checkImageName(name); err != nil {
		return nil, err
	}
	found, err := w.view().listings(imagesPrefix + name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: image %q is not signed", ErrNoTarget, name)
	}
	image, _ := newImage(newTarget(found[0].role, imagesPrefix+name, found[0].target))
	image.Staged = w.stagedEntry(image.Target)
	return &image, nil
}

// ImageFilter selects entries of images; the zero value selects all.
type ImageFilter struct {
	Repository string
	Role       string // a role, or "bins" for all hash bins
	Staged     bool   // only entries that are new or changed
}

// Images lists entries of images sorted by repository, the tags before the digests. Of hash bins it parses those that
// can have such entries. ErrNoRole.
func (w *Workspace) Images(f ImageFilter) ([]Image, error) {
	v := w.view()
	roles, err := w.targetRoles(v, TargetFilter{Role: f.Role, Staged: f.Staged})
	if err != nil {
		return nil, err
	}
	var out []Image
	for _, role := range roles {
		if has, err := w.mentions(v, role, f.Repository); err != nil {
			return nil, err
		} else if !has {
			continue
		}
		entries, err := v.entries(role)
		if err != nil {
			return nil, err
		}
		for path, t := range entries {
			image, ok := newImage(newTarget(role, path, t))
			if !ok || f.Repository != "" && image.Repository != f.Repository {
				continue
			}
			if image.Staged = w.stagedEntry(image.Target); image.Staged || !f.Staged {
				out = append(out, image)
			}
		}
	}
	slices.SortFunc(out, compareImages)
	return out, nil
}

// compareImages sorts by repository, the tags before the digests, then by role.
func compareImages(a, b Image) int {
	if c := strings.Compare(a.Repository, b.Repository); c != 0 {
		return c
	}
	if byDigest := a.Tag == ""; byDigest != (b.Tag == "") {
		if byDigest {
			return 1
		}
		return -1
	}
	return strings.Compare(a.Name+"\x00"+a.Role, b.Name+"\x00"+b.Role)
}

// mentions reports whether a role can have entries of a repository. There may be hundreds of hash bins: they are not
// parsed only to find that they have none.
func (w *Workspace) mentions(v *view, role, repository string) (bool, error) {
	f := w.current(role)
	if f == nil {
		return false, nil
	}
	if _, isBin, err := v.binParent(role); err != nil || !isBin || repository == "" {
		return err == nil, err
	}
	data, err := bytesOf(f)
	return bytes.Contains(data, []byte(`"`+imagesPrefix+repository)), err
}

// stagedEntry reports whether an entry of the staged state is new or differs from what is published.
func (w *Workspace) stagedEntry(t Target) bool {
	if w.staged[t.Role] == nil {
		return false
	}
	published, err := w.baseView().entries(t.Role)
	if err != nil || published[t.Path] == nil {
		return true
	}
	now, err := w.view().entries(t.Role)
	return err != nil || !equalTargets(published[t.Path], now[t.Path])
}

// listing is an entry in one of the roles that a lookup visits.
type listing struct {
	role   string
	target *tuf.TargetFiles
}

// listings finds all entries of a path in the roles that a lookup visits, in that order: a client takes the first.
func (v *view) listings(path string) ([]listing, error) {
	roles, err := v.visits(path)
	if err != nil {
		return nil, err
	}
	var out []listing
	for _, role := range roles {
		entries, err := v.entries(role)
		if err != nil {
			return nil, err
		}
		if t := entries[path]; t != nil {
			out = append(out, listing{role, t})
		}
	}
	return out, nil
}

// SignedTags are the tags of a repository with the digests that a lookup finds for them.
func (w *Workspace) SignedTags(repository string) (map[string]string, error) {
	all, err := w.Images(ImageFilter{Repository: repository})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for n, i := range all {
		if i.Tag == "" {
			break // the digests follow
		}
		tags[i.Tag] = i.Digest
		if n > 0 && all[n-1].Name == i.Name { // in several roles
			first, err := w.Image(i.Name)
			if err != nil {
				return nil, err
			}
			tags[i.Tag] = first.Digest
		}
	}
	return tags, nil
}
