package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// ErrBesideName says that what was given for the place of a copy is neither a
// repository nor a pattern of them.
var ErrBesideName = errors.New("invalid repository for a copy")

// BesideNames says in which repositories copies are kept, HOST/REPOSITORY, sorted.
// Each entry is HOST/REPOSITORY, or a pattern of the repositories of images, as
// [trust.ParseScope] reads it without the host: "shop/api", "shop/*", "shop/**". It
// is over repositories, those of the images that are signed, on host, the canonical
// one. A first component with a dot or a port, and localhost, is a host.
//
// unmatched are the patterns that match none of them. [ErrBesideName].
func BesideNames(entries []string, host string, repositories []string) (names, unmatched []string, err error) {
	found := map[string]bool{}
	for _, entry := range entries {
		if first, _, ok := strings.Cut(entry, "/"); ok && isHost(first) {
			h, repository, err := ociremote.ParseImageName(entry)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrBesideName, err)
			}
			found[h+"/"+repository] = true
			continue
		}
		matched, err := matching(entry, host, repositories)
		if err != nil {
			return nil, nil, err
		}
		if len(matched) == 0 {
			unmatched = append(unmatched, entry)
		}
		for _, name := range matched {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), unmatched, nil
}

func isHost(s string) bool {
	_, err := ociremote.ParseImageHost(s)
	return err == nil
}

// matching are the repositories on a host that a pattern matches.
func matching(pattern, host string, repositories []string) ([]string, error) {
	if host == "" {
		return nil, fmt.Errorf("%w: %q has no host, and which one images are on is not known", ErrBesideName, pattern)
	}
	scope, err := trust.ParseScope(host + "/" + pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: want HOST/REPOSITORY, or a pattern such as shop/*", ErrBesideName, pattern)
	}
	var names []string
	for _, repository := range repositories {
		if name := host + "/" + ociremote.OfficialName(host, repository); scope.Match(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// ImageRepositories are the repositories, without a host, of which a view has signed
// images, sorted.
func ImageRepositories(ctx context.Context, view *trust.View) ([]string, error) {
	targets, err := view.List(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, t := range targets {
		if repository, _, _, ok := trust.ParseImageName(t.Path); ok {
			found[repository] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}
