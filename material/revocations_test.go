package material

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	hexA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var revokedAt = time.Date(2026, 8, 1, 10, 2, 0, 0, time.UTC)

func TestParseRevocations(t *testing.T) {
	t.Parallel()
	got, err := ParseRevocations([]byte(`{"certificates": [{"sha256":"` + hexB + `","reason":"key compromise","time":"2026-08-01T10:02:00Z"}],
		"version": 1, "images": [
		{"digest":"sha256:` + hexB + `","reason":"CVE-1","time":"2026-08-01T10:02:00Z"},
		{"digest":"sha256:` + hexA + `","repository":"shop/api","reason":"CVE-2","time":"2026-08-01T10:02:00Z"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Revocations{
		Images: []RevokedImage{
			{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "CVE-2", Time: revokedAt},
			{Digest: "sha256:" + hexB, Reason: "CVE-1", Time: revokedAt},
		},
		Certificates: []RevokedCertificate{{SHA256: hexB, Reason: "key compromise", Time: revokedAt}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, empty := range []string{`{"version":1}`, `{"version":1,"images":[],"certificates":[]}`} {
		if got, err := ParseRevocations([]byte(empty)); err != nil || len(got.Images)+len(got.Certificates) != 0 {
			t.Errorf("%s: %v, %v", empty, got, err)
		}
	}
}

func TestParseRevocationsRefuses(t *testing.T) {
	t.Parallel()
	image := func(members string) string {
		return `{"version":1,"images":[{` + members + `}]}`
	}
	certificate := func(members string) string {
		return `{"version":1,"certificates":[{` + members + `}]}`
	}
	const rest = `"reason":"r","time":"2026-08-01T10:02:00Z"`
	entry := `{"digest":"sha256:` + hexA + `",` + rest + `}`
	many := strings.Repeat(`{},`, MaxRevoked) + `{}`
	tests := []struct{ name, data string }{
		{"empty", ``},
		{"null", `null`},
		{"array", `[]`},
		{"cut short", `{"version":1`},
		{"not UTF-8", "{\"version\":1,\"images\":[{\"digest\":\"sha256:" + hexA + "\",\"reason\":\"\xff\",\"time\":\"2026-08-01T10:02:00Z\"}]}"},
		{"two values", `{"version":1}{}`},
		{"bytes behind", `{"version":1} x`},
		{"without version", `{}`},
		{"version 2", `{"version":2}`},
		{"version as text", `{"version":"1"}`},
		{"version as a fraction", `{"version":1.0}`},
		{"version twice", `{"version":1,"version":1}`},
		{"version in another case", `{"Version":1}`},
		{"version in two cases", `{"version":1,"VERSION":1}`},
		{"version with an escape, twice", `{"version":1,"\u0076ersion":1}`},
		{"long s", `{"version":1,"image` + "\u017f" + `":[]}`},
		{"unknown member", `{"version":1,"blobs":[]}`},
		{"member of another place", `{"version":1,"reason":"r"}`},
		{"images null", `{"version":1,"images":null}`},
		{"an image null", `{"version":1,"images":[null]}`},
		{"images an object", `{"version":1,"images":{}}`},
		{"an image a list", `{"version":1,"images":[[]]}`},
		{"deep", `{"version":1,"images":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`},
		{"too many images", `{"version":1,"images":[` + many + `]}`},
		{"too many certificates", `{"version":1,"certificates":[` + many + `]}`},
		{"too large", `{"version":1}` + strings.Repeat(" ", MaxRevocationsSize)},
		{"image without digest", image(rest)},
		{"image without reason", image(`"digest":"sha256:` + hexA + `","time":"2026-08-01T10:02:00Z"`)},
		{"image without time", image(`"digest":"sha256:` + hexA + `","reason":"r"`)},
		{"image with a sha256", image(`"sha256":"` + hexA + `",` + rest)},
		{"digest twice", image(`"digest":"sha256:` + hexA + `","digest":"sha256:` + hexA + `",` + rest)},
		{"digest in another case", image(`"Digest":"sha256:` + hexA + `",` + rest)},
		{"digest null", image(`"digest":null,` + rest)},
		{"digest without algorithm", image(`"digest":"` + hexA + `",` + rest)},
		{"digest of another algorithm", image(`"digest":"sha512:` + hexA + hexA + `",` + rest)},
		{"digest in upper case", image(`"digest":"sha256:` + strings.ToUpper(hexA) + `",` + rest)},
		{"digest too short", image(`"digest":"sha256:` + hexA[1:] + `",` + rest)},
		{"digest with a line end", image(`"digest":"sha256:` + hexA + `\n",` + rest)},
		{"repository empty", image(`"digest":"sha256:` + hexA + `","repository":"",` + rest)},
		{"repository null", image(`"digest":"sha256:` + hexA + `","repository":null,` + rest)},
		{"repository with a host and port", image(`"digest":"sha256:` + hexA + `","repository":"localhost:5000/shop",` + rest)},
		{"repository in upper case", image(`"digest":"sha256:` + hexA + `","repository":"Shop",` + rest)},
		{"repository with a star", image(`"digest":"sha256:` + hexA + `","repository":"shop/*",` + rest)},
		{"repository with dots", image(`"digest":"sha256:` + hexA + `","repository":"../shop",` + rest)},
		{"repository too long", image(`"digest":"sha256:` + hexA + `","repository":"` + strings.Repeat("a", maxRepository+1) + `",` + rest)},
		{"one image twice", `{"version":1,"images":[` + entry + `,` + entry + `]}`},
		{"certificate without sha256", certificate(rest)},
		{"certificate with a repository", certificate(`"sha256":"` + hexA + `","repository":"shop",` + rest)},
		{"sha256 in upper case", certificate(`"sha256":"` + strings.ToUpper(hexA) + `",` + rest)},
		{"sha256 with algorithm", certificate(`"sha256":"sha256:` + hexA + `",` + rest)},
		{"reason empty", certificate(`"sha256":"` + hexA + `","reason":"","time":"2026-08-01T10:02:00Z"`)},
		{"reason of spaces", certificate(`"sha256":"` + hexA + `","reason":"  ","time":"2026-08-01T10:02:00Z"`)},
		{"reason too long", certificate(`"sha256":"` + hexA + `","reason":"` + strings.Repeat("r", MaxReason+1) + `","time":"2026-08-01T10:02:00Z"`)},
		{"reason of two lines", certificate(`"sha256":"` + hexA + `","reason":"a\nb","time":"2026-08-01T10:02:00Z"`)},
		{"reason with an escape sequence", certificate(`"sha256":"` + hexA + `","reason":"\u001b[2J","time":"2026-08-01T10:02:00Z"`)},
		{"time with a fraction", certificate(`"sha256":"` + hexA + `","reason":"r","time":"2026-08-01T10:02:00.5Z"`)},
		{"time with a fraction of nothing", certificate(`"sha256":"` + hexA + `","reason":"r","time":"2026-08-01T10:02:00.000Z"`)},
		{"time that is none", certificate(`"sha256":"` + hexA + `","reason":"r","time":"2026-13-01T10:02:00Z"`)},
		{"time with an offset", certificate(`"sha256":"` + hexA + `","reason":"r","time":"2026-08-01T10:02:00+02:00"`)},
		{"time as a number", certificate(`"sha256":"` + hexA + `","reason":"r","time":1754042520`)},
		{"one certificate twice", `{"version":1,"certificates":[{"sha256":"` + hexA + `",` + rest + `},{"sha256":"` + hexA + `",` + rest + `}]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseRevocations([]byte(test.data))
			if !errors.Is(err, ErrInvalid) || got != nil {
				t.Errorf("got %v, %v; want ErrInvalid", got, err)
			}
		})
	}
}

// Nesting ends by itself, and not because the place of the value is wrong.
func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	_, err := ParseRevocations([]byte(`{"version":1,"images":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`))
	wantErr(t, err, ErrInvalid, "nested deeper")
}

func TestMarshalRevocations(t *testing.T) {
	t.Parallel()
	r := &Revocations{
		Images: []RevokedImage{
			{Digest: "sha256:" + hexB, Reason: "<b> & more", Time: revokedAt.In(time.FixedZone("", 7200))},
			{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "first", Time: revokedAt},
			{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "second", Time: revokedAt},
			{Digest: "sha256:" + hexA, Reason: "everywhere", Time: revokedAt},
		},
		Certificates: []RevokedCertificate{{SHA256: hexB, Reason: "b", Time: revokedAt}, {SHA256: hexA, Reason: "a", Time: revokedAt}},
	}
	data, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if r.Images[0].Digest != "sha256:"+hexB {
		t.Error("marshalling changed the list")
	}
	got, err := ParseRevocations(data)
	if err != nil {
		t.Fatal(err)
	}
	want := &Revocations{
		Images: []RevokedImage{
			{Digest: "sha256:" + hexA, Reason: "everywhere", Time: revokedAt},
			{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "first", Time: revokedAt},
			{Digest: "sha256:" + hexB, Reason: "<b> & more", Time: revokedAt},
		},
		Certificates: []RevokedCertificate{{SHA256: hexA, Reason: "a", Time: revokedAt}, {SHA256: hexB, Reason: "b", Time: revokedAt}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	again, err := got.Marshal()
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("a second time: %s, %v; want %s", again, err, data)
	}
}

func TestMarshalRevocationsRefuses(t *testing.T) {
	t.Parallel()
	many := &Revocations{}
	for n := range MaxRevoked + 1 {
		many.Certificates = append(many.Certificates, RevokedCertificate{SHA256: fmt.Sprintf("%064x", n), Reason: "r", Time: revokedAt})
	}
	large := &Revocations{}
	for n := range MaxRevoked {
		large.Certificates = append(large.Certificates, RevokedCertificate{SHA256: fmt.Sprintf("%064x", n), Reason: strings.Repeat("r", MaxReason), Time: revokedAt})
	}
	tests := map[string]*Revocations{
		"digest":      {Images: []RevokedImage{{Digest: "x", Reason: "r", Time: revokedAt}}},
		"reason":      {Images: []RevokedImage{{Digest: "sha256:" + hexA, Time: revokedAt}}},
		"fraction":    {Images: []RevokedImage{{Digest: "sha256:" + hexA, Reason: "r", Time: revokedAt.Add(1)}}},
		"far year":    {Images: []RevokedImage{{Digest: "sha256:" + hexA, Reason: "r", Time: revokedAt.AddDate(9000, 0, 0)}}},
		"certificate": {Certificates: []RevokedCertificate{{SHA256: "x", Reason: "r", Time: revokedAt}}},
		"not UTF-8":   {Certificates: []RevokedCertificate{{SHA256: hexA, Reason: "\xff", Time: revokedAt}}},
		"many":        many,
		"large":       large,
	}
	for name, r := range tests {
		if data, err := r.Marshal(); !errors.Is(err, ErrInvalid) || data != nil {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestRevocationsAddMissing(t *testing.T) {
	t.Parallel()
	everywhere := RevokedImage{Digest: "sha256:" + hexA, Reason: "ours", Time: revokedAt}
	theirs := everywhere
	theirs.Reason = "theirs"
	there := RevokedImage{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "there", Time: revokedAt}
	leaf := RevokedCertificate{SHA256: hexA, Reason: "leaf", Time: revokedAt}
	ca := RevokedCertificate{SHA256: hexB, Reason: "ca", Time: revokedAt}

	r := &Revocations{Images: []RevokedImage{everywhere}, Certificates: []RevokedCertificate{leaf}}
	o := &Revocations{Images: []RevokedImage{theirs, there, there}, Certificates: []RevokedCertificate{leaf, ca}}
	if got := o.Missing(r); !reflect.DeepEqual(got, &Revocations{Images: []RevokedImage{there}, Certificates: []RevokedCertificate{ca}}) {
		t.Errorf("missing %+v", got)
	}
	r.Add(o)
	if want := (&Revocations{Images: []RevokedImage{everywhere, there}, Certificates: []RevokedCertificate{leaf, ca}}); !reflect.DeepEqual(r, want) {
		t.Errorf("added: %+v, want %+v", r, want)
	}
	if got := r.Missing(r); !reflect.DeepEqual(got, &Revocations{}) {
		t.Errorf("missing in itself: %+v", got)
	}
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	r := &Revocations{
		Images: []RevokedImage{
			{Digest: "sha256:" + hexA, Repository: "shop/api", Reason: "there"},
			{Digest: "sha256:" + hexB, Reason: "everywhere"},
		},
		Certificates: []RevokedCertificate{{SHA256: hexA, Reason: "leaf"}},
	}
	tests := []struct{ digest, repository, want string }{
		{"sha256:" + hexA, "shop/api", "there"},
		{"sha256:" + hexA, "shop", ""},
		{"sha256:" + hexA, "mirror/shop/api", ""},
		{"sha256:" + hexA, "", ""},
		{"sha256:" + hexB, "shop/api", "everywhere"},
		{"sha256:" + hexB, "", "everywhere"},
		{hexA, "shop/api", ""},
	}
	for _, test := range tests {
		got := ""
		if i := r.Image(test.digest, test.repository); i != nil {
			got = i.Reason
		}
		if got != test.want {
			t.Errorf("%s in %q: %q, want %q", test.digest, test.repository, got, test.want)
		}
		if i := r.ImagesOf(test.repository)[test.digest]; i != r.Image(test.digest, test.repository) {
			t.Errorf("%s of those in %q: %v", test.digest, test.repository, i)
		}
	}
	if c := r.Certificate(hexA); c == nil || c.Reason != "leaf" {
		t.Errorf("certificate: %v", c)
	}
	if c := r.Certificate(hexB); c != nil {
		t.Errorf("certificate: %v, want none", c)
	}
}

func FuzzRevocations(f *testing.F) {
	f.Add([]byte(`{"version":1,"images":[{"digest":"sha256:` + hexA + `","repository":"shop/api","reason":"r","time":"2026-08-01T10:02:00Z"}]}`))
	f.Add([]byte(`{"version":1,"certificates":[{"sha256":"` + hexA + `","reason":"\ud800 <","time":"2026-08-01T10:02:00Z"}]}`))
	f.Add([]byte(`{"version":1,"images":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRevocations(data)
		if err != nil {
			if r != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		out, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRevocations(out)
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v, %v; want %+v", again, err, r)
		}
	})
}
