package ociremote

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const someDigest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func TestParseReference(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want Reference
		out  string // "" is the same as in
	}{
		{"registry.example.com/acme/trust:tuf", Reference{Host: "registry.example.com", Repository: "acme/trust", Tag: "tuf"}, ""},
		{"registry.example.com/acme/trust", Reference{Host: "registry.example.com", Repository: "acme/trust", Tag: "tuf"}, "registry.example.com/acme/trust:tuf"},
		{"Registry.Example.COM:443/a", Reference{Host: "registry.example.com:443", Repository: "a", Tag: "tuf"}, "registry.example.com:443/a:tuf"},
		{"localhost:5000/a/b__c/d-e.f:v1.2_3", Reference{Host: "localhost:5000", Repository: "a/b__c/d-e.f", Tag: "v1.2_3"}, ""},
		{"registry/a@" + someDigest, Reference{Host: "registry", Repository: "a", Digest: someDigest}, ""},
		{"127.0.0.1:5000/a:t", Reference{Host: "127.0.0.1:5000", Repository: "a", Tag: "t"}, ""},
		{"[::1]:5000/a:t", Reference{Host: "[::1]:5000", Repository: "a", Tag: "t"}, ""},
		{"[2001:DB8:0::1]/a", Reference{Host: "[2001:db8::1]", Repository: "a", Tag: "tuf"}, "[2001:db8::1]/a:tuf"},
		{"oci-layout:dir", Reference{Kind: KindLayout, Path: "dir", Tag: "tuf"}, "oci-layout:dir:tuf"},
		{"oci-layout:/a/b/dir:tuf.v3", Reference{Kind: KindLayout, Path: "/a/b/dir", Tag: "tuf.v3"}, ""},
		{"oci-layout:/a:b/dir", Reference{Kind: KindLayout, Path: "/a:b/dir", Tag: "tuf"}, "oci-layout:/a:b/dir:tuf"},
		{`oci-layout:C:\dir\x:t`, Reference{Kind: KindLayout, Path: `C:\dir\x`, Tag: "t"}, ""},
		{`oci-layout:C:\dir`, Reference{Kind: KindLayout, Path: `C:\dir`, Tag: "tuf"}, `oci-layout:C:\dir:tuf`},
		{"oci-layout:.:t", Reference{Kind: KindLayout, Path: ".", Tag: "t"}, ""},
		{"oci-layout:a@b:t", Reference{Kind: KindLayout, Path: "a@b", Tag: "t"}, ""},
		{"oci-layout:dir@" + someDigest, Reference{Kind: KindLayout, Path: "dir", Digest: someDigest}, ""},
		{"oci-archive:x.tar", Reference{Kind: KindArchive, Path: "x.tar", Tag: "tuf"}, "oci-archive:x.tar:tuf"},
		{"oci-archive:./my dir/x.tar:beta", Reference{Kind: KindArchive, Path: "./my dir/x.tar", Tag: "beta"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReference(tt.in)
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
			if name := got.Name(); name != got.Tag && name != got.Digest.String() || name == "" {
				t.Errorf("Name: %q", name)
			}
		})
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "/", "a", "trust:tuf", "host/", "host/:tag", "/repo", "host//repo", "host/repo/", "host/Repo", "host/re po",
		"https://host/repo", "oci://host/repo", "host/repo:", "host/repo:-x", "host/repo:a:b", "host/repo:" + strings.Repeat("t", 129),
		"host/repo:tag@" + someDigest, "host/repo@", "host/repo@sha256:abc", "host/repo@" + strings.ToUpper(someDigest),
		"host/repo@sha512:" + strings.Repeat("a", 128), "host/repo@" + someDigest + "@" + someDigest, "host/repo/../x", "host/./x",
		"host:/repo", "host:0/repo", "host:65536/repo", "host:080/repo", "host:x/repo", "ho st/repo", "-host/repo", "host-/repo", "a..b/repo", "hóst/repo",
		"::1/repo", "[::1/repo", "[::1]x/repo", "[::1]:/repo", "[127.0.0.1]/repo", "[fe80::1%eth0]/repo", "[]/repo", "user@host/repo", "user:pw@host/repo",
		"host/" + strings.Repeat("a", 255), strings.Repeat("a", 5000),
		"oci-layout:", "oci-layout::tag", "oci-layout:dir:", "oci-layout:dir:-x", "oci-layout:dir:t@" + someDigest, "oci-layout:@" + someDigest,
		"oci-layout:dir@sha256:abc", "oci-layout:dir@sha256", "oci-layout:dir@sha512:x:t", "oci-layout:dir@sha512:abc", "oci-layout:a\x00b", "oci-layout:a\nb", "oci-layout:\xff", "oci-archive:", "oci-archive::t",
	} {
		got, err := ParseReference(in)
		if !errors.Is(err, ErrInvalidReference) || got != (Reference{}) {
			t.Errorf("%q: got %+v, %v", shorten(in), got, err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{
		"registry.example.com:5000/acme/trust:tuf", "[::1]:5000/a@" + someDigest, "oci-layout:/a:b/c:tuf", "oci-archive:x.tar", "oci-layout:a@sha1:b",
		"oci-layout:a@sha256:b/c", "oci-layout:a::b", "oci-layout:@sha", "oci-layout:a@sha256", "oci-layout:a@sha256:b:c", "HOST/a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := ParseReference(in)
		if err != nil {
			if ref != (Reference{}) {
				t.Errorf("%q: %+v beside an error", in, ref)
			}
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q: %q is read as %+v, %v", in, ref.String(), again, err)
		}
		if (ref.Tag == "") == (ref.Digest == "") {
			t.Errorf("%q: tag %q and digest %q", in, ref.Tag, ref.Digest)
		}
	})
}

func TestHistoryTags(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{1, 12, maxVersion} {
		if got, ok := ParseHistoryTag("tuf", HistoryTag("tuf", v)); !ok || got != v {
			t.Errorf("%d: got %d, %v", v, got, ok)
		}
	}
	for _, tag := range []string{"tuf", "tuf.v", "tuf.v0", "tuf.v01", "tuf.v-1", "tuf.v+1", "tuf.v1x", "tuf.v9007199254740992", "tuf.v99999999999999999999", "beta.v1", "tuf2.v1"} {
		if v, ok := ParseHistoryTag("tuf", tag); ok {
			t.Errorf("%q is taken for version %d", tag, v)
		}
	}
	for _, ok := range []string{"tuf", "a", "0", "tuf-beta_2", strings.Repeat("a", 64)} {
		if err := ValidateChannel(ok); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "-a", "_a", "Tuf", "tuf.v1", "a/b", strings.Repeat("a", 65), "a\n"} {
		if err := ValidateChannel(bad); err == nil {
			t.Errorf("channel %q is taken", bad)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1": true, "127.8.9.1:80": true, "[::1]": true, "[::1]:5000": true,
		"128.0.0.1": false, "localhost.example.com": false, "registry.example.com:5000": false, "[2001:db8::1]": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("%s: want %v", host, want)
		}
	}
}

func TestValidateDigest(t *testing.T) {
	t.Parallel()
	if err := validateDigest(someDigest); err != nil {
		t.Error(err)
	}
	if err := validateDigest(digest.Digest(strings.ToUpper(someDigest))); err == nil {
		t.Error("upper case is taken")
	}
}
