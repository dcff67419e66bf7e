package ociremote_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

const notarySignature = "application/vnd.cncf.notary.signature"

// artifact is a manifest that may refer to another one.
func artifact(artifactType, configType string, subject *ocispec.Descriptor, seed string) (ocispec.Descriptor, []byte) {
	text := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"`
	if artifactType != "" {
		text += `,"artifactType":"` + artifactType + `"`
	}
	text += `,"config":{"mediaType":"` + configType + `","digest":"` + string(digest.FromString("{}")) + `","size":2},"layers":[]`
	if subject != nil {
		text += fmt.Sprintf(`,"subject":{"mediaType":"%s","digest":"%s","size":%d}`, subject.MediaType, subject.Digest, subject.Size)
	}
	text += `,"annotations":{"seed":"` + seed + `"}}`
	return describe(ocispec.MediaTypeImageManifest, text), []byte(text)
}

func describe(mediaType, text string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString(text), Size: int64(len(text))}
}

// listOf is a list of referrers.
func listOf(entries ...string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(entries, ",") + `]}`
}

// entryOf is an entry of such a list.
func entryOf(d ocispec.Descriptor, artifactType string) string {
	text := fmt.Sprintf(`{"mediaType":"%s","digest":"%s","size":%d`, d.MediaType, d.Digest, d.Size)
	if artifactType != "" {
		text += `,"artifactType":"` + artifactType + `"`
	}
	return text + `}`
}

func numbered(n int) ocispec.Descriptor {
	return describe(ocispec.MediaTypeImageManifest, fmt.Sprint("referrer ", n))
}

func tagOf(d digest.Digest) string { return strings.ReplaceAll(string(d), ":", "-") }

// signedImage is an image with what refers to it: signatures in both forms of
// Notation, an SBOM, and a signature of another image.
type signedImage struct {
	image, v1, v2, sbom, other ocispec.Descriptor
	data                       map[digest.Digest][]byte
}

func newSignedImage() *signedImage {
	s := &signedImage{data: map[digest.Digest][]byte{}}
	put := func(d ocispec.Descriptor, data []byte) ocispec.Descriptor {
		s.data[d.Digest] = data
		return d
	}
	s.image = put(artifact("", ocispec.MediaTypeImageConfig, nil, "image"))
	s.v1 = put(artifact("", notarySignature, &s.image, "v1"))
	s.v2 = put(artifact(notarySignature, ocispec.MediaTypeEmptyJSON, &s.image, "v2"))
	s.sbom = put(artifact("application/spdx+json", ocispec.MediaTypeEmptyJSON, &s.image, "sbom"))
	elsewhere := describe(ocispec.MediaTypeImageManifest, "elsewhere")
	s.other = put(artifact("", notarySignature, &elsewhere, "other"))
	return s
}

// push puts all of it into a repository, without a referrers tag.
func (s *signedImage) push(t *testing.T, repo ociremote.WritableRepository) {
	t.Helper()
	if err := repo.Push(t.Context(), describe(ocispec.MediaTypeEmptyJSON, "{}"), strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	for d, data := range s.data {
		name := d.String()
		if d == s.image.Digest {
			name = "1"
		}
		if err := repo.PushReference(t.Context(), describe(ocispec.MediaTypeImageManifest, string(data)), bytes.NewReader(data), name); err != nil {
			t.Fatal(err)
		}
	}
}

// pushTag puts a list under the referrers tag.
func (s *signedImage) pushTag(t *testing.T, repo ociremote.WritableRepository, entries ...string) {
	t.Helper()
	text := listOf(entries...)
	if err := repo.PushReference(t.Context(), describe(ocispec.MediaTypeImageIndex, text), strings.NewReader(text), tagOf(s.image.Digest)); err != nil {
		t.Fatal(err)
	}
}

func referrers(t *testing.T, repo ociremote.Repository, subject ocispec.Descriptor, types ...string) []digest.Digest {
	t.Helper()
	list, err := ociremote.Referrers(t.Context(), repo, subject, ociremote.ReferrersOptions{ArtifactTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	return digestsOf(list)
}

func digestsOf(list *ociremote.ReferrerList) []digest.Digest {
	var got []digest.Digest
	for _, d := range list.Descriptors {
		got = append(got, d.Digest)
	}
	slices.Sort(got)
	return got
}

// sameDigests compares without order.
func sameDigests(got []digest.Digest, want ...ocispec.Descriptor) bool {
	return slices.Equal(got, digestsOf(&ociremote.ReferrerList{Descriptors: want}))
}

func TestReferrersInARegistry(t *testing.T) {
	t.Parallel()
	s := newSignedImage()
	for name, o := range map[string]tuftest.RegistryOptions{
		"with the API": {}, "without": {NoReferrers: true}, "with tokens": {Token: true}, "without, with tokens": {NoReferrers: true, Token: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := tuftest.NewRegistry(t, o)
			s.push(t, openWritable(t, newClient(t, ociremote.Options{}), reg.Host()))
			if o.NoReferrers {
				s.pushTag(t, openWritable(t, newClient(t, ociremote.Options{}), reg.Host()),
					entryOf(s.v1, notarySignature), entryOf(s.v2, ""), entryOf(s.sbom, "application/spdx+json"))
			}
			reg.Reset()
			repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
			if got := referrers(t, repo, s.image, notarySignature); !sameDigests(got, s.v1, s.v2) {
				t.Errorf("signatures %s", got)
			}
			want := []string{"GET " + s.image.Digest.String()}
			if o.Token {
				want = append(want, "GET token", want[0])
			}
			if o.NoReferrers {
				want = append(want, "GET "+tagOf(s.image.Digest))
			}
			if got := requests(reg); !slices.Equal(got, want) {
				t.Errorf("requests %q, want %q", got, want)
			}
			if query := reg.Requests()[0].Query; query != "artifactType=application%2Fvnd.cncf.notary.signature" {
				t.Errorf("query %q", query)
			}

			// The second time it is known whether there is an API.
			reg.Reset()
			if got := referrers(t, repo, s.image); !sameDigests(got, s.v1, s.v2, s.sbom) {
				t.Errorf("all: %s", got)
			}
			if got := referrers(t, repo, s.image, notarySignature, "application/spdx+json"); !sameDigests(got, s.v1, s.v2, s.sbom) {
				t.Errorf("two types: %s", got)
			}
			if got := referrers(t, repo, describe(ocispec.MediaTypeImageManifest, "nothing")); len(got) != 0 {
				t.Errorf("of nothing: %s", got)
			}
			nothing := 1 // request for the list of nothing
			if !o.NoReferrers {
				nothing = 2 // with the API, then the tag
			}
			if got := reg.Requests(); len(got) != 2+nothing || got[1].Query != "" {
				t.Errorf("requests %q", requests(reg))
			}
		})
	}
}

// Notation lists signatures under the tag by default, also where there is an API,
// and not every registry takes over what it finds there.
func TestReferrersUnderTheTagBesideTheAPI(t *testing.T) {
	t.Parallel()
	s := newSignedImage()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	writable := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
	s.push(t, writable)
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			fmt.Fprint(w, listOf(entryOf(s.sbom, "application/spdx+json")))
			return
		}
		next.ServeHTTP(w, r)
	})
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	if got := referrers(t, repo, s.image, notarySignature); len(got) != 0 {
		t.Errorf("without a tag: %s", got)
	}
	s.pushTag(t, writable, entryOf(s.v1, notarySignature), entryOf(s.v2, ""))
	if got := referrers(t, repo, s.image, notarySignature); !sameDigests(got, s.v1, s.v2) {
		t.Errorf("signatures %s", got)
	}
	// What the API lists suffices.
	reg.Reset()
	if got := referrers(t, repo, s.image, "application/spdx+json"); !sameDigests(got, s.sbom) || len(reg.Requests()) != 1 {
		t.Errorf("%s by %q", got, requests(reg))
	}
}

func TestReferrersInALayout(t *testing.T) {
	t.Parallel()
	s := newSignedImage()
	dir := filepath.Join(t.TempDir(), "layout")
	layout, err := ociremote.CreateLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, layout)
	tarFile := filepath.Join(t.TempDir(), "x.tar")
	archive, err := ociremote.CreateArchive(tarFile)
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, archive)
	s.pushTag(t, archive, entryOf(s.v1, ""), entryOf(s.v2, ""))
	if err := archive.Commit(); err != nil {
		t.Fatal(err)
	}
	memory := ociremote.NewMemory()
	s.push(t, memory)
	c := newClient(t, ociremote.Options{})
	// PushReference by digest leaves no entry in an index: other tools write one.
	index := listOf(entryOf(s.image, ""), entryOf(s.v1, ""), entryOf(s.v2, ""), entryOf(s.sbom, ""), entryOf(s.other, ""), entryOf(numbered(1), ""), `{}`, `null`)
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, repo := range map[string]ociremote.Repository{
		"layout": openRepository(t, c, "oci-layout:"+dir, false), "archive with the tag": openRepository(t, c, "oci-archive:"+tarFile, false),
		"layout to write": layout, "memory": memory,
	} {
		if got := referrers(t, repo, s.image, notarySignature); !sameDigests(got, s.v1, s.v2) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// What the index says and what the tag says, each once.
	extra := numbered(2)
	s.pushTag(t, layout, entryOf(s.v1, ""), entryOf(extra, ""))
	list, err := ociremote.Referrers(t.Context(), layout, s.image, ociremote.ReferrersOptions{ArtifactTypes: []string{notarySignature}})
	if err != nil || !sameDigests(digestsOf(list), s.v1, s.v2, extra) {
		t.Errorf("%+v, %v", list, err)
	}
	if d := list.Descriptors[0]; d.ArtifactType != notarySignature || d.Annotations["seed"] == "" {
		t.Errorf("not described as a registry does: %+v", d)
	}
}

// fakeRegistry answers the referrers API with a handler, and everything else with
// 404.
func fakeRegistry(t *testing.T, referrers http.HandlerFunc) (host string, hits *[]string) {
	t.Helper()
	var mu sync.Mutex
	hits = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*hits = append(*hits, r.URL.RequestURI())
		mu.Unlock()
		if !strings.Contains(r.URL.Path, "/referrers/") {
			http.NotFound(w, r)
			return
		}
		referrers(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), hits
}

func indexAnswer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	fmt.Fprint(w, body)
}

func TestReferrersAnswersThatAreNoList(t *testing.T) {
	t.Parallel()
	subject := numbered(0)
	text := func(status int, mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	index := ocispec.MediaTypeImageIndex
	transport := func(err error) bool { _, ok := errors.AsType[*ociremote.TransportError](err); return ok }
	auth := func(err error) bool { _, ok := errors.AsType[*ociremote.AuthError](err); return ok }
	malformed := func(err error) bool { return errors.Is(err, ociremote.ErrMalformed) }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		is     func(error) bool
	}{
		"a login page":        {text(200, "text/html", "<html>"), transport},
		"a list as text/html": {text(200, "text/html", listOf()), transport},
		"plain JSON":          {text(200, "application/json", `{}`), transport},
		"a manifest":          {text(200, ocispec.MediaTypeImageManifest, `{}`), transport},
		"no type":             {text(200, "", listOf()), transport},
		"no JSON":             {text(200, index, "<html>"), malformed},
		"nothing":             {text(200, index, ""), malformed},
		"no manifests":        {text(200, index, `{"schemaVersion":2}`), malformed},
		"manifests no list":   {text(200, index, `{"schemaVersion":2,"manifests":{}}`), malformed},
		"another media type":  {text(200, index, `{"schemaVersion":2,"mediaType":"text/html","manifests":[]}`), malformed},
		"manifests twice":     {text(200, index, `{"manifests":[],"Manifests":[]}`), malformed},
		"too large":           {text(200, index, listOf()+strings.Repeat(" ", ociremote.MaxManifest)), malformed},
		"no content":          {text(204, index, ""), transport},
		"not modified":        {text(304, index, ""), transport},
		"bad request":         {text(400, "application/json", "{}"), transport},
		"unauthorized":        {text(401, "application/json", "{}"), auth},
		"forbidden":           {text(403, "application/json", "{}"), auth},
		"gone":                {text(410, "text/plain", ""), transport},
		"server error":        {text(500, "text/plain", ""), transport},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, hits := fakeRegistry(t, tt.answer)
			repo := open(t, newClient(t, ociremote.Options{Retries: -1}), host)
			list, err := ociremote.Referrers(t.Context(), repo, subject, ociremote.ReferrersOptions{})
			if !tt.is(err) || list != nil {
				t.Errorf("%+v, %v", list, err)
			}
			if len(*hits) != 1 {
				t.Errorf("requests %q", *hits)
			}
		})
	}
}

func TestReferrersRegistryWithoutTheAPI(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, tt := range map[string]struct {
		answer     http.HandlerFunc
		remembered bool
	}{
		"404":                {answer(404, "404 page not found"), true},
		"404 in JSON":        {answer(404, `{"errors":[{"code":"NOT_FOUND"}]}`), true},
		"405":                {answer(405, `{"errors":[{"code":"UNSUPPORTED"}]}`), true},
		"no such repository": {answer(404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), false},
		"no such manifest":   {answer(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, hits := fakeRegistry(t, tt.answer)
			c := newClient(t, ociremote.Options{})
			for n, repository := range []string{"/a", "/b"} {
				*hits = nil
				list, err := ociremote.Referrers(t.Context(), openRepository(t, c, host+repository, false), numbered(0), ociremote.ReferrersOptions{})
				if err != nil || len(list.Descriptors) != 0 {
					t.Errorf("%+v, %v", list, err)
				}
				want := 2
				if n > 0 && tt.remembered {
					want = 1
				}
				if len(*hits) != want || !strings.HasSuffix((*hits)[want-1], "/manifests/"+tagOf(numbered(0).Digest)) {
					t.Errorf("%s: requests %q, want %d", repository, *hits, want)
				}
			}
		})
	}
	// Many at the same time.
	host, _ := fakeRegistry(t, answer(405, ""))
	c := newClient(t, ociremote.Options{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := ociremote.Referrers(t.Context(), open(t, c, host), numbered(0), ociremote.ReferrersOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestReferrersPages(t *testing.T) {
	t.Parallel()
	page := func(next string, entries ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			n := 0
			fmt.Sscan(r.URL.Query().Get("n"), &n)
			if next != "" && n < 2 {
				w.Header().Add("Link", strings.ReplaceAll(strings.ReplaceAll(next, "HOST", r.Host), "PATH", r.URL.Path+fmt.Sprint("?n=", n+1)))
			}
			indexAnswer(w, listOf(append(entries, entryOf(numbered(10*n), notarySignature), entryOf(numbered(10*n+1), notarySignature))...))
		}
	}
	for name, tt := range map[string]struct {
		next  string
		pages int // 0: refused
		o     ociremote.ReferrersOptions
		found int
		cut   bool
	}{
		"none":                    {"", 1, ociremote.ReferrersOptions{}, 2, false},
		"a path":                  {`<PATH>; rel="next"`, 3, ociremote.ReferrersOptions{}, 6, false},
		"a URL":                   {`<http://HOSTPATH>; rel=next`, 3, ociremote.ReferrersOptions{}, 6, false},
		"only a query":            {`<?n=1>; title="x"; REL="next"`, 8, ociremote.ReferrersOptions{}, 4, true}, // for ever the same one
		"another relation":        {`<PATH>; rel="prev"`, 1, ociremote.ReferrersOptions{}, 2, false},
		"no link":                 {`PATH; rel="next"`, 1, ociremote.ReferrersOptions{}, 2, false},
		"fewer pages":             {`<PATH>; rel="next"`, 2, ociremote.ReferrersOptions{MaxPages: 2}, 4, true},
		"fewer entries":           {`<PATH>; rel="next"`, 2, ociremote.ReferrersOptions{Max: 3}, 3, true},
		"as many as there may be": {`<PATH>; rel="next"`, 3, ociremote.ReferrersOptions{Max: 6}, 6, false},
		"another host":            {`<http://evil.example/v2/x>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"another host, in short":  {`<//evil.example/v2/x>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"another scheme":          {`<https://HOSTPATH>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"another port":            {`<http://127.0.0.1:1/>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"with a user":             {`<http://u:p@HOSTPATH>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"a file":                  {`<file:///etc/passwd>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
		"no URL":                  {`<http://[>; rel="next"`, 0, ociremote.ReferrersOptions{}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := page(tt.next)
			if name == "only a query" {
				handler = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Link", tt.next)
					n := len(r.URL.Query().Get("n"))
					indexAnswer(w, listOf(entryOf(numbered(10*n), ""), entryOf(numbered(10*n+1), "")))
				}
			}
			host, hits := fakeRegistry(t, handler)
			list, err := ociremote.Referrers(t.Context(), open(t, newClient(t, ociremote.Options{}), host), describe(ocispec.MediaTypeImageManifest, "subject"), tt.o)
			if tt.pages == 0 {
				if !errors.Is(err, ociremote.ErrMalformed) || list != nil {
					t.Errorf("%+v, %v", list, err)
				}
				return
			}
			if err != nil || len(list.Descriptors) != tt.found || list.Truncated != tt.cut || len(*hits) != tt.pages {
				t.Errorf("%+v, %v, %d requests", list, err, len(*hits))
			}
		})
	}
	// A page that is lost is no end, and says nothing of the API.
	host, hits := fakeRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Link", `<?n=1>; rel="next"`)
		indexAnswer(w, listOf())
	})
	repo := open(t, newClient(t, ociremote.Options{}), host)
	for range 2 {
		*hits = nil
		if list, err := ociremote.Referrers(t.Context(), repo, numbered(0), ociremote.ReferrersOptions{}); err == nil || list != nil {
			t.Errorf("%+v, %v", list, err)
		}
		if len(*hits) != 2 {
			t.Errorf("requests %q", *hits)
		}
	}
}

func TestReferrersEntries(t *testing.T) {
	t.Parallel()
	subject := numbered(0)
	good, untyped, ggcr, foreign := numbered(1), numbered(2), numbered(3), numbered(4)
	entries := []string{
		entryOf(untyped, ""), entryOf(ggcr, ocispec.MediaTypeEmptyJSON), entryOf(foreign, "application/spdx+json"),
		// Entries that break the rules.
		`{}`, `null`, `[]`, `7`, entryOf(subject, notarySignature),
		entryOf(ocispec.Descriptor{MediaType: "application/octet-stream", Digest: numbered(5).Digest, Size: 5}, notarySignature),
		entryOf(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: numbered(6).Digest, Size: -1}, notarySignature),
		entryOf(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: numbered(7).Digest, Size: ociremote.MaxManifest + 1}, notarySignature),
		entryOf(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: "sha256:../../x", Size: 5}, notarySignature),
		entryOf(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.SHA512.FromString("x"), Size: 5}, notarySignature),
		entryOf(good, notarySignature), entryOf(good, notarySignature),
	}
	host, _ := fakeRegistry(t, func(w http.ResponseWriter, _ *http.Request) { indexAnswer(w, listOf(entries...)) })
	repo := open(t, newClient(t, ociremote.Options{}), host)
	list, err := ociremote.Referrers(t.Context(), repo, subject, ociremote.ReferrersOptions{ArtifactTypes: []string{notarySignature}})
	if err != nil || len(list.Descriptors) != 3 || list.Truncated {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []ocispec.Descriptor{good, untyped, ggcr} {
		if list.Descriptors[i].Digest != want.Digest {
			t.Errorf("entry %d is %+v", i, list.Descriptors[i])
		}
	}
	if got := referrers(t, repo, subject); !sameDigests(got, good, untyped, ggcr, foreign) {
		t.Errorf("all: %s", got)
	}
	// Padding does not displace what has the type.
	list, err = ociremote.Referrers(t.Context(), repo, subject, ociremote.ReferrersOptions{ArtifactTypes: []string{notarySignature}, Max: 1})
	if err != nil || len(list.Descriptors) != 1 || list.Descriptors[0].Digest != good.Digest || !list.Truncated {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := ociremote.Referrers(t.Context(), repo, ocispec.Descriptor{Digest: "sha256:../x"}, ociremote.ReferrersOptions{}); !errors.Is(err, ociremote.ErrInvalidReference) {
		t.Errorf("a subject that is none: %v", err)
	}
}

func TestReferrersTagThatIsNoList(t *testing.T) {
	t.Parallel()
	s := newSignedImage()
	repo := ociremote.NewMemory()
	s.push(t, repo)
	put := func(text, mediaType string) error {
		t.Helper()
		if err := repo.PushReference(t.Context(), describe(mediaType, text), strings.NewReader(text), tagOf(s.image.Digest)); err != nil {
			t.Fatal(err)
		}
		_, err := ociremote.Referrers(t.Context(), repo, s.image, ociremote.ReferrersOptions{})
		return err
	}
	if err := put(string(s.data[s.sbom.Digest]), ocispec.MediaTypeImageManifest); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("a manifest: %v", err)
	}
	if err := put(`{"schemaVersion":2,"manifests":7}`, ocispec.MediaTypeImageIndex); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("a broken index: %v", err)
	}
	if err := put(`{"schemaVersion":2,"manifests":[]}`, "application/vnd.docker.distribution.manifest.list.v2+json"); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("a list of docker: %v", err)
	}
	// GitLab serves the image itself under that tag: nothing refers to it.
	if err := put(string(s.data[s.image.Digest]), ocispec.MediaTypeImageManifest); err != nil {
		t.Errorf("the image: %v", err)
	}
	index := listOf(entryOf(s.image, ""))
	subject := describe(ocispec.MediaTypeImageIndex, index)
	if err := repo.PushReference(t.Context(), subject, strings.NewReader(index), tagOf(subject.Digest)); err != nil {
		t.Fatal(err)
	}
	if got := referrers(t, repo, subject); len(got) != 0 {
		t.Errorf("the children of an index refer to it: %s", got)
	}
}

func TestReferrersScanIsBounded(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	s := newSignedImage()
	repo := ociremote.NewMemory()
	for n := range 1025 {
		_, data := artifact("", notarySignature, &s.image, fmt.Sprint(n))
		d := describe(ocispec.MediaTypeImageManifest, string(data))
		if err := repo.PushReference(t.Context(), d, bytes.NewReader(data), d.Digest.String()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ociremote.Referrers(t.Context(), repo, s.image, ociremote.ReferrersOptions{Max: 5000})
	if err != nil || len(list.Descriptors) != 1024 || !list.Truncated {
		t.Errorf("%d, %v, %v", len(list.Descriptors), list.Truncated, err)
	}
	// Large ones use the bound up sooner, also if they are no manifests: 64 MiB are
	// sixteen of these, and a bit.
	padding := bytes.Repeat([]byte("x"), 4_000_000)
	large := ociremote.NewMemory()
	for n := 1; n <= 17; n++ {
		data := append([]byte{'x', byte(n)}, padding...) // not even JSON
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := large.PushReference(t.Context(), d, bytes.NewReader(data), d.Digest.String()); err != nil {
			t.Fatal(err)
		}
		if n < 16 {
			continue
		}
		list, err := ociremote.Referrers(t.Context(), large, s.image, ociremote.ReferrersOptions{})
		if err != nil || len(list.Descriptors) != 0 || list.Truncated != (n == 17) {
			t.Errorf("%d: %d, %v, %v", n, len(list.Descriptors), list.Truncated, err)
		}
	}
}
