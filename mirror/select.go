package mirror

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Select reads patterns of images and returns those that the signed entries of a
// view name, sorted, each once.
//
// HOST/REPOSITORY:TAG and HOST/REPOSITORY@DIGEST name one image, which need not be
// signed. In a repository "*" stands for any part of one component and "**" for
// several, as in a scope; a tag is a pattern of [path.Match]. Without a tag it is
// all signed tags of the repositories. HOST is the canonical one of these images:
// names of targets have none. A pattern that matches nothing is ErrNoMatch, one that
// is none ociremote.ErrInvalidReference or trust.ErrInvalidScope.
func Select(ctx context.Context, view *trust.View, patterns []string) ([]Image, error) {
	var images []Image
	var open []pattern
	for _, s := range patterns {
		p, err := parsePattern(s)
		if err != nil {
			return nil, err
		}
		if p.literal != nil {
			images = append(images, *p.literal)
		} else {
			open = append(open, p)
		}
	}
	if len(open) > 0 {
		found, err := matching(ctx, view, open)
		if err != nil {
			return nil, err
		}
		images = append(images, found...)
	}
	slices.SortFunc(images, Image.compare)
	return slices.Compact(images), nil
}

// compare orders images by their names.
func (i Image) compare(o Image) int {
	return cmp.Or(cmp.Compare(i.Name, o.Name), cmp.Compare(i.Tag, o.Tag), cmp.Compare(i.Digest, o.Digest))
}

// pattern is one that was read.
type pattern struct {
	text string
	// literal is the one image that is meant, nil for a pattern.
	literal *Image
	scope   trust.Scope
	tag     string
}

func parsePattern(s string) (pattern, error) {
	p := pattern{text: s, tag: "*"}
	repository := s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') && !strings.Contains(s, "@") {
		repository, p.tag = s[:i], s[i+1:]
	}
	if strings.Contains(s, "@") || p.tag != "*" && !strings.ContainsAny(s, `*?[\`) {
		image, err := ociremote.ParseImage(s)
		if err == nil && image.Kind != ociremote.KindRegistry {
			err = fmt.Errorf("%w %q: want HOST/REPOSITORY:TAG, the canonical name", ociremote.ErrInvalidReference, s)
		}
		p.literal = &Image{Name: image.Name(), Tag: image.Tag, Digest: image.Digest}
		return p, err
	}
	if _, err := path.Match(p.tag, ""); err != nil || p.tag == "" || strings.Contains(p.tag, "/") {
		return p, fmt.Errorf("%w %q: the tag is no pattern", ociremote.ErrInvalidReference, s)
	}
	var err error
	p.scope, err = trust.ParseScope(repository)
	return p, err
}

// matching lists the signed tags that fit patterns, each of which has to fit one.
func matching(ctx context.Context, view *trust.View, patterns []pattern) ([]Image, error) {
	targets, err := view.List(ctx)
	if err != nil {
		return nil, err
	}
	var images []Image
	used := make([]bool, len(patterns))
	for _, t := range targets {
		repository, tag, _, ok := trust.ParseImageName(t.Path)
		if !ok || tag == "" {
			continue
		}
		for i, p := range patterns {
			name := p.scope.Host() + "/" + repository
			if fits, _ := path.Match(p.tag, tag); fits && p.scope.Match(name) {
				images, used[i] = append(images, Image{Name: name, Tag: tag}), true
			}
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoMatch, patterns[i].text)
	}
	return images, nil
}

// reference is the image in the registry that its name says.
func (i Image) reference() (ociremote.ImageReference, error) {
	host, repository, err := ociremote.ParseImageName(i.Name)
	ref := ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: host, Repository: repository, Tag: i.Tag, Digest: i.Digest}
	switch {
	case err != nil:
	case host+"/"+repository != i.Name || i.Tag == "" && i.Digest == "" ||
		i.Tag != "" && !ociremote.IsTag(i.Tag) || i.Digest != "" && !ociremote.IsDigest(i.Digest.String()):
		err = fmt.Errorf("%w %q: no canonical name of one image", ociremote.ErrInvalidReference, i.String())
	}
	return ref, err
}

// String is HOST/REPOSITORY with :TAG, @DIGEST or both.
func (i Image) String() string {
	s := i.Name
	if i.Tag != "" {
		s += ":" + i.Tag
	}
	if i.Digest != "" {
		s += "@" + i.Digest.String()
	}
	return s
}

// name is what names it in its repository: the tag if there is one.
func (i Image) name() string { return cmp.Or(i.Tag, i.Digest.String()) }
