package ociremote

import (
	"errors"
	"strings"
	"testing"
)

const moreDigest = "sha256:486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"

func TestParseImage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want ImageReference
		out  string // "" is the same as in
	}{
		{"registry.acme.io/shop/api:1.4.2", ImageReference{Host: "registry.acme.io", Repository: "shop/api", Tag: "1.4.2"}, ""},
		{"registry.acme.io/shop/api@" + someDigest, ImageReference{Host: "registry.acme.io", Repository: "shop/api", Digest: someDigest}, ""},
		{"registry.acme.io/api:1@" + someDigest, ImageReference{Host: "registry.acme.io", Repository: "api", Tag: "1", Digest: someDigest}, ""},
		{"Registry.Acme.IO:443/a:t", ImageReference{Host: "registry.acme.io:443", Repository: "a", Tag: "t"}, "registry.acme.io:443/a:t"},
		{"localhost/a:t", ImageReference{Host: "localhost", Repository: "a", Tag: "t"}, ""},
		{"registry:5000/a:t", ImageReference{Host: "registry:5000", Repository: "a", Tag: "t"}, ""},
		{"[::1]/a:t", ImageReference{Host: "[::1]", Repository: "a", Tag: "t"}, ""},
		{"docker.io/nginx:1", ImageReference{Host: "docker.io", Repository: "library/nginx", Tag: "1"}, "docker.io/library/nginx:1"},
		{"index.docker.io/library/nginx:1", ImageReference{Host: "docker.io", Repository: "library/nginx", Tag: "1"}, "docker.io/library/nginx:1"},
		{"registry-1.docker.io/acme/api:1", ImageReference{Host: "docker.io", Repository: "acme/api", Tag: "1"}, "docker.io/acme/api:1"},
		{"docker.io:443/nginx:1", ImageReference{Host: "docker.io:443", Repository: "nginx", Tag: "1"}, ""},
		{"oci-layout:/a:b/dir:t", ImageReference{Kind: KindLayout, Path: "/a:b/dir", Tag: "t"}, ""},
		{"oci-layout:dir:t@" + someDigest, ImageReference{Kind: KindLayout, Path: "dir", Tag: "t", Digest: someDigest}, ""},
		{"oci-archive:x.tar@" + someDigest, ImageReference{Kind: KindArchive, Path: "x.tar", Digest: someDigest}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseImage(tt.in)
			if err != nil || got != tt.want {
				t.Fatalf("got %+v, %v", got, err)
			}
			out := tt.out
			if out == "" {
				out = tt.in
			}
			if got.String() != out {
				t.Errorf("String: %q, want %q", got.String(), out)
			}
			if name := got.Name(); (name == "") != (got.Kind != KindRegistry) || !strings.HasPrefix(out, name) {
				t.Errorf("Name: %q", name)
			}
			ref := got.Reference()
			if (ref.Tag == "") != (got.Digest != "") || ref.Digest != got.Digest || ref.Kind != got.Kind {
				t.Errorf("Reference: %+v", ref)
			}
			if again, err := ParseReference(ref.String()); err != nil || again != ref {
				t.Errorf("Reference does not read back: %+v, %v", again, err)
			}
		})
	}
}

func TestParseImageRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "nginx", "nginx:1", "library/nginx:1", "shop/api@" + someDigest, "registry/a:t", // short names
		"registry.acme.io/a", "registry.acme.io:5000/a", "oci-layout:dir", "oci-archive:x.tar", // no tag, no digest
		"registry.acme.io/a:", "registry.acme.io/a:t:u", "registry.acme.io/a:ä", "registry.acme.io/a@", "registry.acme.io/a@sha256:ab",
		"registry.acme.io/a@" + someDigest + "@" + moreDigest, "registry.acme.io/a@" + strings.ToUpper(someDigest),
		"registry.acme.io/a@sha512:" + strings.Repeat("ab", 64),
		"registry.acme.io/A:t", "registry.acme.io/a//b:t", "registry.acme.io/../a:t", "registry.acme.io/a/:t", "registry.acme.io/:t",
		"registry.acme.io:0/a:t", "registry.acme.io./a:t", "user@registry.acme.io/a:t", "https://registry.acme.io/a:t",
		"reg\u0456stry.acme.io/a:t", "reg\u0130stry.acme.io/a:t", "\u212Aegistry.acme.io/a:t", "registry.acme.io/a\x00:t", " registry.acme.io/a:t",
		"registry.acme.io/" + strings.Repeat("a", 255) + ":t", "docker.io/" + strings.Repeat("a", 245) + ":t",
	} {
		if got, err := ParseImage(in); !errors.Is(err, ErrInvalidReference) || got != (ImageReference{}) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseImageName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"registry.acme.io/shop/api": "registry.acme.io shop/api",
		"index.docker.io/nginx":     "docker.io library/nginx",
	} {
		if host, repository, err := ParseImageName(in); err != nil || host+" "+repository != want {
			t.Errorf("%q: %s %s, %v", in, host, repository, err)
		}
	}
	for _, in := range []string{"shop/api", "registry.acme.io/a:t", "registry.acme.io/a@" + someDigest, "oci-layout:dir", "registry.acme.io"} {
		if _, _, err := ParseImageName(in); !errors.Is(err, ErrInvalidReference) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseImage(f *testing.F) {
	for _, s := range []string{"docker.io/nginx:1", "a.b:1/c/d:t@" + someDigest, "oci-layout:a:b:c", "oci-archive:x@" + someDigest, "[::1]:1/a:t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseImage(s)
		if err != nil {
			if ref != (ImageReference{}) || !errors.Is(err, ErrInvalidReference) {
				t.Fatalf("%q: %+v, %v", s, ref, err)
			}
			return
		}
		again, err := ParseImage(ref.String())
		if err != nil || again != ref {
			t.Fatalf("%q: %+v, then %+v, %v", s, ref, again, err)
		}
	})
}
