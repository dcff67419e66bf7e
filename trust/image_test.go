package trust_test

import (
	"strings"
	"testing"

	"github.com/tufoci/tufoci/trust"
)

func TestImageNames(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, tt := range []struct{ repository, tag, digest string }{
		{"shop/api", "1.4.2", ""}, {"a", "latest", ""}, {"a/b__c/d-e.f", "", digest},
	} {
		name := trust.ImageTag(tt.repository, tt.tag)
		if tt.digest != "" {
			name = trust.ImageDigest(tt.repository, tt.digest)
		}
		repository, tag, got, ok := trust.ParseImageName(name)
		if !ok || repository != tt.repository || tag != tt.tag || got != tt.digest {
			t.Errorf("%s: %q %q %q %v", name, repository, tag, got, ok)
		}
	}
	for _, name := range []string{
		"", "images/", "images/a", "a:t", "image/a:t", "Images/a:t", "images/a:", "images/:t", "images/a@", "images/A:t", "images//a:t",
		"images/a/:t", "images/../a:t", "images/a:t:u", "images/a:t@" + digest, "images/a@" + digest + ":t", "images/a@sha256:0a",
		"images/a@" + strings.ToUpper(digest), "images/a@sha512:" + strings.Repeat("0a", 64), "images/a:ä", "images/a: t", "x/images/a:t",
	} {
		if repository, tag, digest, ok := trust.ParseImageName(name); ok || repository+tag+digest != "" {
			t.Errorf("%q: %q %q %q %v", name, repository, tag, digest, ok)
		}
	}
}

func FuzzParseImageName(f *testing.F) {
	f.Add("images/shop/api:1.4.2")
	f.Add("images/a@sha256:" + strings.Repeat("0a", 32))
	f.Fuzz(func(t *testing.T, name string) {
		repository, tag, digest, ok := trust.ParseImageName(name)
		if !ok {
			return
		}
		again := trust.ImageTag(repository, tag)
		if digest != "" {
			again = trust.ImageDigest(repository, digest)
		}
		if again != name || (tag == "") == (digest == "") {
			t.Fatalf("%q reads back as %q", name, again)
		}
	})
}
