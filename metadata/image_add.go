package metadata

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// ImageDiffersError says what is signed under the name and what was to be. It Is ErrImageDiffers.
type ImageDiffersError struct {
	Name        string // REPOSITORY:TAG
	Role        string // that lists the name
	Signed, New string // digests
	// Hidden: a lookup comes to Role before it comes to the role in which the new entry would stand.
	Hidden bool
}

func (e *ImageDiffersError) Error() string {
	text := fmt.Sprintf("%s is signed as %s in %s, not as %s", e.Name, e.Signed, e.Role, e.New)
	if e.Hidden {
		text += "; clients ask that role first, so that an entry elsewhere would not count"
	}
	return text
}

// Is reports that the error is an ErrImageDiffers.
func (e *ImageDiffersError) Is(target error) bool { return target == ErrImageDiffers }

// ImageEntry is a manifest or index that is to be signed: under its digest, and under a tag if it has one.
type ImageEntry struct {
	Repository string // without a host
	Tag        string
	SHA256     string // hex, of the bytes of the manifest
	Length     int64
	MediaType  string
	Index      string // hex sha256 of the index of which it is a platform's manifest; it has no Tag then
	Replace    bool   // Tag may be signed with another digest, which it leaves
}

// ImageOptions are the optional parts of an edit of images.
type ImageOptions struct {
	// Role that lists the entries. Default: the role that lists the tag already, else that of [TargetOptions].
	Role string
}

// ImageChange is what an edit of images stages.
type ImageChange struct {
	Added     []Image // entries that are new or changed
	Unchanged []Image // entries that stood there already
	Removed   []Image
	// Kept are entries by digest that stay although a tag with that digest was moved or removed: each is a standing
	// permission.
	Kept []Image
}

// AddImages stages the entries of images, all or nothing. An image that is there is no error. An entry by digest that
// stands for itself stays so when an index names it too; one that belonged to another index belongs to the newest.
// ErrImageDiffers, ErrInvalid, ErrNoRole, ErrNotDelegated.
func (w *Workspace) AddImages(entries []ImageEntry, o ImageOptions) (*ImageChange, error) {
	wanted, err := imageNames(entries)
	if err != nil {
		return nil, err
	}
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	a := imageAddition{view: w.view(), role: o.Role, leads: map[string]string{}}
	for _, n := range wanted {
		if err := a.add(n); err != nil {
			return nil, err
		}
	}
	added, err := e.addEntries(a.entries, o.Role)
	if err != nil {
		return nil, err
	}
	for _, t := range added {
		image, _ := newImage(t)
		a.change.Added = append(a.change.Added, image)
	}
	return &a.change, e.commit()
}

// imageName is one name of an image with what is to be signed under it.
type imageName struct {
	ImageEntry
	path string
}

// imageNames lists the names of all entries, each once: tags, then digests, then the manifests of platforms.
func imageNames(entries []ImageEntry) ([]imageName, error) {
	var out []imageName
	seen := map[string]string{}
	add := func(n imageName) error {
		if err := checkImagePath(n.path, n.SHA256); err != nil {
			return err
		}
		if sum, again := seen[n.path]; again && sum != n.SHA256 {
			return fmt.Errorf("%w: image %q is given with two digests, sha256:%s and sha256:%s", ErrInvalid, n.path, sum, n.SHA256)
		} else if !again {
			seen[n.path] = n.SHA256
			out = append(out, n)
		}
		return nil
	}
	byPlace := slices.Clone(entries)
	slices.SortStableFunc(byPlace, func(a, b ImageEntry) int { return cmp.Compare(min(len(a.Index), 1), min(len(b.Index), 1)) })
	for _, n := range byPlace {
		if err := n.checkIndex(); err != nil {
			return nil, err
		}
		if n.Tag != "" {
			if err := add(imageName{n, imagesPrefix + n.Repository + ":" + n.Tag}); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range byPlace {
		if err := add(imageName{n, imagesPrefix + digestName(n.Repository, n.SHA256)}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// imageAddition works out what names change.
type imageAddition struct {
	view    *view
	role    string            // of all entries; "": each finds its own
	leads   map[string]string // repository@digest to the role of its tag, or of its index
	entries []entry
	change  ImageChange
}

// add settles one name: its role, whether it may be signed, and what of it is new.
func (a *imageAddition) add(n imageName) error {
	found, err := a.view.listings(n.path)
	if err != nil {
		return err
	}
	role, err := a.place(n, found)
	if err != nil {
		return err
	}
	next := n.entry(role)
	t, err := next.target()
	if err != nil {
		return err
	}
	order, err := a.view.visits(n.path)
	if err != nil {
		return err
	}
	for _, old := range found {
		first := slices.Index(order, old.role) < slices.Index(order, role)
		signed, ok := newImage(newTarget(old.role, n.path, old.target))
		switch {
		case signed.SHA256 != n.SHA256 && (first || !n.Replace):
			return &ImageDiffersError{
				Name: n.path[len(imagesPrefix):], Role: old.role, Signed: digestOf(signed.SHA256), New: digestOf(n.SHA256), Hidden: first,
			}
		case signed.SHA256 != n.SHA256:
			if err := a.keep(n.Repository, signed.SHA256); err != nil {
				return err
			}
		case old.role == role && (equalTargets(old.target, t) || n.Index != "" && ok && signed.Index == ""):
			a.change.Unchanged = append(a.change.Unchanged, signed)
			return nil
		}
	}
	a.entries = append(a.entries, next)
	return nil
}

// keep notes the entry by digest that a tag leaves behind.
func (a *imageAddition) keep(repository, sum string) error {
	path := imagesPrefix + digestName(repository, sum)
	found, err := a.view.listings(path)
	for _, old := range found {
		image, _ := newImage(newTarget(old.role, path, old.target))
		a.change.Kept = append(a.change.Kept, image)
	}
	return err
}

// place chooses the role of a name, and remembers it for the names that follow this one: a digest its tag, a platform
// its index. Hash bins choose for themselves.
func (a *imageAddition) place(n imageName, found []listing) (string, error) {
	lead := digestName(n.Repository, cmp.Or(n.Index, n.SHA256))
	role := a.role
	if role == "" && len(found) > 0 {
		role = found[0].role
	}
	role, err := a.view.listing(n.path, cmp.Or(role, a.leads[lead]))
	if err != nil {
		return "", err
	}
	if _, isBin, err := a.view.binParent(role); err != nil || isBin {
		return role, err
	}
	if n.Index == "" && a.leads[lead] == "" {
		a.leads[lead] = role
	}
	return role, nil
}

// entry is the name as it is to stand in metadata.
func (n imageName) entry(role string) entry {
	var custom imageCustom
	custom.Tufoci.MediaType = n.MediaType
	if n.Index != "" {
		custom.Tufoci.Index = digestOf(n.Index)
	}
	data, _ := json.Marshal(custom) // of strings: never fails
	return entry{Path: n.path, Length: n.Length, Hashes: map[string]string{"sha256": n.SHA256}, Custom: data, role: role}
}

// checkIndex refuses what no entry of a platform has: a tag, or a digest that is none.
func (n ImageEntry) checkIndex() error {
	if n.Tag != "" && n.Index != "" {
		return fmt.Errorf("%w: image %s:%s: the manifest of a platform has no tag", ErrInvalid, n.Repository, n.Tag)
	}
	if n.Index != "" && !isSHA256(n.Index) {
		return fmt.Errorf("%w: image %s: index %q is not 64 lower-case hex digits", ErrInvalid, n.Repository, n.Index)
	}
	return nil
}
