package publish_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/publish"
)

func TestBesideNames(t *testing.T) {
	t.Parallel()
	repositories := []string{"base", "shop/api", "shop/web", "shop/web/assets", "tools/cli"}
	for _, test := range []struct {
		entries, want, unmatched []string
		err                      bool
	}{
		{entries: nil},
		{entries: []string{"shop/*"}, want: []string{"reg.acme.io/shop/api", "reg.acme.io/shop/web"}},
		{entries: []string{"shop/**", "shop/api"}, want: []string{"reg.acme.io/shop/api", "reg.acme.io/shop/web", "reg.acme.io/shop/web/assets"}},
		{entries: []string{"**"}, want: []string{"reg.acme.io/base", "reg.acme.io/shop/api", "reg.acme.io/shop/web", "reg.acme.io/shop/web/assets", "reg.acme.io/tools/cli"}},
		{entries: []string{"*", "none/*"}, want: []string{"reg.acme.io/base"}, unmatched: []string{"none/*"}},
		// With a host it is one repository, whether images are signed in it or not.
		{entries: []string{"Mirror.acme.io:5000/any/where", "localhost/x"}, want: []string{"localhost/x", "mirror.acme.io:5000/any/where"}},
		{entries: []string{"mirror.acme.io/shop/*"}, err: true},
		{entries: []string{"mirror.acme.io/shop/api:tuf"}, err: true},
		{entries: []string{"shop/a**"}, err: true},
		{entries: []string{"Shop"}, err: true},
		{entries: []string{""}, err: true},
	} {
		got, unmatched, err := publish.BesideNames(test.entries, "reg.acme.io", repositories)
		if test.err {
			if !errors.Is(err, publish.ErrBesideName) {
				t.Errorf("%q: names %q, error %v", test.entries, got, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, test.want) || !slices.Equal(unmatched, test.unmatched) {
			t.Errorf("%q: %q without %q (%v), want %q without %q", test.entries, got, unmatched, err, test.want, test.unmatched)
		}
	}
	if _, _, err := publish.BesideNames([]string{"shop/*"}, "", repositories); !errors.Is(err, publish.ErrBesideName) {
		t.Errorf("a pattern without a host: %v", err)
	}
}
