package ociremote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What passes CheckJSON has one reading: parsers that keep the first, the last or both of two members, and those that
// ignore case, agree on it.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[{"a":null}]}`, `{"a":1,"A":1}`, `{"k":1,"\u212a":1}`, `[1] 2`, `{"a":{"a":1}}`, strings.Repeat("[", 40)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if CheckJSON(data) != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		once(t, data)
	})
}

// once holds every object in a document to members that differ in more than case.
func once(t *testing.T, data []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	var elements []json.RawMessage
	switch {
	case json.Unmarshal(data, &members) == nil:
		var names []string
		for name, value := range members {
			if slices.ContainsFunc(names, func(o string) bool { return strings.EqualFold(o, name) }) {
				t.Fatalf("%q twice", name)
			}
			names = append(names, name)
			once(t, value)
		}
		if n := membersIn(data); n != len(names) {
			t.Fatalf("%d members, %d names: %s", n, len(names), data)
		}
	case json.Unmarshal(data, &elements) == nil:
		for _, value := range elements {
			once(t, value)
		}
	}
}

// membersIn counts the members of an object, each as often as it stands there.
func membersIn(data []byte) (n int) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, _ := dec.Token(); token != json.Delim('{') {
		return 0
	}
	for ; dec.More(); n++ {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil || dec.Decode(&value) != nil {
			return n
		}
	}
	return n
}

// packTar makes an archive of files in a format.
func packTar(t testing.TB, format tar.Format, files ...Content) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, file := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file.Title, Size: int64(len(file.Data)), Mode: 0o644, Format: format}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// untar reads an archive as any program does: its regular files in their order, as far as it can be read.
func untar(data []byte) (files []Content, err error) {
	r := tar.NewReader(bytes.NewReader(data))
	for {
		hdr, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		if hdr.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(r, maxInline))
		if err != nil {
			return files, err
		}
		files = append(files, Content{Title: hdr.Name, Digest: digest.FromBytes(content), Size: hdr.Size, Data: content})
	}
}

// An inline layer that is taken holds what any other program unpacks from it, and no more than the layers say.
func FuzzUnpackInline(f *testing.F) {
	files := someFiles()
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		f.Add(packTar(f, format, files...), false)
	}
	f.Add(packTar(f, tar.FormatUSTAR), false)
	f.Add(packTar(f, tar.FormatUSTAR, files[0], files[0]), false)
	f.Add(append(packTar(f, tar.FormatUSTAR, files[0]), make([]byte, 30*tarBlock)...), false)
	if whole, err := packInline(files); err == nil {
		f.Add(whole, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, compressed bool) {
		unpacked := data
		if compressed {
			if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
				unpacked, _ = io.ReadAll(io.LimitReader(r, maxInline))
			}
		} else {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			if _, err := w.Write(data); err != nil || w.Close() != nil {
				t.Fatal(err)
			}
			data = out.Bytes()
		}
		found, err := untar(unpacked)
		layers := []File{{Title: "metadata/0.first.json", Descriptor: descriptorOf(MediaTypeMetadata, nil)}}
		for _, c := range found {
			if !slices.ContainsFunc(layers, func(l File) bool { return l.Title == c.Title }) {
				layers = append(layers, File{Title: c.Title, Descriptor: ocispec.Descriptor{Digest: c.Digest, Size: c.Size}})
			}
		}
		got, ourErr := unpackInline(data, layers)
		if ourErr != nil {
			if got != nil {
				t.Fatal("files beside an error")
			}
			return
		}
		if err != nil || len(got) != len(found) {
			t.Fatalf("%d files; others read %d, %v", len(got), len(found), err)
		}
		for _, c := range found {
			if !bytes.Equal(got[c.Title], c.Data) {
				t.Fatalf("%q differs", c.Title)
			}
		}
		if _, err := unpackInline(data, layers[:1]); err == nil && len(found) > 0 {
			t.Fatal("files that no layer names are taken")
		}
	})
}

// sparseTar is an archive with a file of 8 bytes of which 3 are stored (GNU format 1.0 in PAX records).
func sparseTar(t testing.TB) []byte {
	t.Helper()
	const records = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.name=sparse\n25 GNU.sparse.realsize=8\n"
	stored := append([]byte("1\n5\n3\n"), make([]byte, tarBlock-6)...)
	data := packTar(t, tar.FormatUSTAR, Content{Title: "records", Data: []byte(records)}, Content{Title: "sparse", Data: append(stored, "abc"...)})
	// The first file is the extended header of the second.
	const typeflag, sumAt = 156, 148
	data[typeflag] = tar.TypeXHeader
	copy(data[sumAt:], "        ")
	sum := 0
	for _, b := range data[:tarBlock] {
		sum += int(b)
	}
	copy(data[sumAt:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// An archive has in it, under a name, what any other program unpacks under that name.
func FuzzScanArchive(f *testing.F) {
	layout := []Content{
		{Title: "oci-layout", Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Title: "index.json", Data: []byte(`{"schemaVersion":2,"manifests":[` + oneChild + `]}`)},
		{Title: "blobs/sha256/" + strings.Repeat("a", 64), Data: []byte("blob")},
	}
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		f.Add(packTar(f, format, layout...))
	}
	f.Add(packTar(f, tar.FormatUSTAR, Content{Title: "./a/../../b", Data: []byte("b")}, Content{Title: "/c", Data: []byte("c")}))
	f.Add(sparseTar(f))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := scanArchive(t.Context(), bytes.NewReader(data), maxEntries)
		if err != nil {
			if entries != nil {
				t.Fatal("entries beside an error")
			}
			return
		}
		found, err := untar(data)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || err == nil && len(found) != len(entries) {
			t.Fatalf("%d entries; others read %d, %v", len(entries), len(found), err)
		}
		for _, c := range found {
			name := strings.TrimPrefix(c.Title, "/")
			s, ok := entries[filepath.ToSlash(filepath.Clean(name))]
			if !ok {
				t.Fatalf("%q is not there", c.Title)
			}
			got, err := io.ReadAll(io.NewSectionReader(bytes.NewReader(data), s.offset, s.size))
			if err != nil || !bytes.Equal(got, c.Data) {
				t.Fatalf("%q: %d bytes, others read %d", c.Title, len(got), len(c.Data))
			}
		}
	})
}

// What is not ours in an index stays as it is, and the entries come back.
func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"x":[1.50],"manifests":[` + oneChild + `,{"strange":null}],"annotations":{}}`))
	f.Add([]byte(`{"manifests":null,"schemaVersion":2}`))
	f.Add([]byte(`{"mAnifests":[],"schemaVersion":2}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + someDigest +
		`","size":2,"annotations":{"` + ocispec.AnnotationRefName + `":"r.io/a/b:tuf"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		idx, err := parseLayoutIndex(data, "there")
		if err != nil {
			if idx != nil || !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v, %v", idx, err)
			}
			return
		}
		out, err := idx.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseIndex(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(twice, out) || !reflect.DeepEqual(again.entries, idx.entries) {
			t.Fatalf("%s, then %s, %v", out, twice, err)
		}
		for _, tag := range idx.tags() {
			if !IsTag(tag) {
				t.Fatalf("tag %q", tag)
			}
			if found, err := idx.find(tag, true); err == nil && len(found) == 0 {
				t.Fatalf("%q is listed and not found", tag)
			}
		}
		d := descriptorOf(ocispec.MediaTypeImageManifest, data)
		if err := idx.set(indexName{desc: d, name: "fuzzed"}); err != nil {
			t.Fatal(err)
		}
		if found, err := idx.find("fuzzed", true); err == nil && (len(found) != 1 || found[0].Digest != d.Digest) {
			t.Fatalf("what was set is found as %v", found)
		}
	})
}

// A proposal is never a bundle, nor the other way round, in any layout.
func FuzzParseProposal(f *testing.F) {
	files := []Content{contentOf("metadata/2.apps.json", []byte(`{"signed":{}}`)), contentOf("targets/"+strings.Repeat("a", 64)+".x", []byte("x"))}
	for _, layout := range []Layout{LayoutDefault, LayoutNoData, LayoutGitLab} {
		p, _, err := PackProposal(files, PackOptions{Layout: layout})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Manifest())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProposal(data)
		if err != nil {
			if p != nil || !typed(err) {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		if b, err := ParseBundle(data); err == nil {
			t.Fatalf("it is a bundle too: %v", b.Files)
		}
		if _, ok := p.File(p.Title); !ok || validateTitle(p.Title) != nil || p.Held() < int64(len(data)) {
			t.Fatalf("title %q, %d bytes held of %d", p.Title, p.Held(), len(data))
		}
	})
}

// typed reports whether an error is one that the parsers of manifests promise.
func typed(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrForeign) || errors.Is(err, ErrNewerFormat)
}

func contentOf(title string, data []byte) Content {
	return Content{Title: title, Digest: digest.FromBytes(data), Size: int64(len(data)), Data: data}
}

// Tags of history, of proposals and of neither are told apart, whatever the channel.
func FuzzParseTag(f *testing.F) {
	for _, s := range []string{"tuf", "tuf.v12", "tuf.v012", "tuf.in.apps-shop.37", "tuf.in.v1.2", "tuf.in.a..1", "tuf.v9007199254740992"} {
		f.Add("tuf", s)
	}
	f.Fuzz(func(t *testing.T, channel, tag string) {
		version, history := ParseHistoryTag(channel, tag)
		role, proposed, proposal := ParseProposalTag(channel, tag)
		if history && HistoryTag(channel, version) != tag || history && proposal {
			t.Fatalf("%q: version %d, proposal %v", tag, version, proposal)
		}
		if made, err := ProposalTag(channel, role, proposed); proposal && (err != nil || made != tag || !IsTag(tag)) {
			t.Fatalf("%q: %q, %v", tag, made, err)
		}
		if ValidateChannel(channel) == nil && (!IsTag(channel) || history && !IsTag(tag)) {
			t.Fatalf("channel %q, tag %q", channel, tag)
		}
	})
}

// A title stays inside the directory that its file is unpacked into.
func FuzzTitle(f *testing.F) {
	for _, s := range []string{"metadata/1.root.json", "metadata/a%2Fb.json", "targets/a/b", "targets/../x", "targets//x", "metadata/a/b.json", `targets/a\b`, "targets/\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, title string) {
		if validateTitle(title) != nil {
			return
		}
		if !fs.ValidPath(title) || !filepath.IsLocal(title) || len(title) > maxTitle || filepath.Clean(title) != title {
			t.Fatalf("%q is taken", title)
		}
		if place, version := rank(title); place < 0 || place > 5 || version < 0 {
			t.Fatalf("%q: %d, %d", title, place, version)
		}
	})
}

// A list of referrers gives descriptors of manifests, in one order, each once.
func FuzzReferrers(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + oneChild + `,` + oneChild + `]}`))
	f.Add([]byte(`{"manifests":null}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + someDigest + `","size":99999999}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func() *ReferrerList {
			c := &referrerCollector{o: ReferrersOptions{Max: 3}, seen: map[digest.Digest]bool{}}
			if err := c.addIndex(data); err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				return nil
			}
			return c.list()
		}
		list := read()
		if list == nil {
			return
		}
		if len(list.Descriptors) > 3 || !reflect.DeepEqual(list, read()) {
			t.Fatalf("%+v", list)
		}
		for i, d := range list.Descriptors {
			if !IsDigest(d.Digest.String()) || d.Size < 0 || d.Size > MaxManifest || d.Data != nil || !slices.Contains(manifestTypes, d.MediaType) {
				t.Fatalf("%+v", d)
			}
			if slices.ContainsFunc(list.Descriptors[:i], func(o ocispec.Descriptor) bool { return o.Digest == d.Digest }) {
				t.Fatalf("%s twice", d.Digest)
			}
		}
	})
}

// The next page of a list is at the origin of the first.
func FuzzNextPage(f *testing.F) {
	for _, s := range []string{`</v2/a/referrers/x?n=2>; rel="next"`, `<https://elsewhere.example/>; rel=next`, `<//u:p@r.example/>;rel=next`, `<%zz>; rel=next`, `</a>; rel=prev`, `<\\r.example@evil/>; rel=next`} {
		f.Add(s)
	}
	page := &url.URL{Scheme: "https", Host: "r.example", Path: "/v2/a/referrers/" + someDigest}
	f.Fuzz(func(t *testing.T, link string) {
		next, err := nextPage(page, http.Header{"Link": {link}})
		if err != nil {
			if next != "" || !errors.Is(err, ErrMalformed) {
				t.Fatalf("%q, %v", next, err)
			}
			return
		}
		if next == "" {
			return
		}
		// As it is asked for, not as it was parsed.
		u, err := url.Parse(next)
		if err != nil || u.Scheme != "https" || u.Hostname() != "r.example" || u.Port() != "" && u.Port() != "443" || u.User != nil {
			t.Fatalf("%q leads to %q, %v", link, next, err)
		}
	})
}

// What a registry says in its errors and warnings comes in one short line that can be printed.
func FuzzErrorText(f *testing.F) {
	f.Add(404, []byte(`{"errors":[{"code":"NAME_UNKNOWN","message":"no such\u001b[2J repository"}]}`))
	f.Add(401, []byte(`<html>`))
	f.Add(404, []byte(`{"errors":[{"code":"x","message":"`+strings.Repeat("é", 200)+`"}]}`))
	f.Add(503, []byte(`{"errors":[null,{"code":"","message":"`+strings.Repeat("x", 2000)+`"}]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = max(400+max(status, -status)%200, 400)
		resp := &http.Response{
			StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)),
			Request: &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "r.example", Path: "/v2/"}},
		}
		err := statusError(resp)
		var refused *AuthError
		var failed *TransportError
		if !errors.As(err, &refused) && !errors.As(err, &failed) {
			t.Fatalf("%T: %v", err, err)
		}
		var texts []string
		warnOnce(func(text string) { texts = append(texts, text) })(fmt.Sprintf("299 - %q", body))
		for _, text := range append(texts, err.Error()) {
			if len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%d bytes: %q", len(text), text)
			}
		}
	})
}

// A server does not make a client wait for longer than it is willing to, nor go back in time.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("-1", "")
	f.Add("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:00 GMT")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 0001 23:59:00 GMT")
	r := &retrier{wait: time.Millisecond, now: func() time.Time { return time.Unix(0, 0) }}
	f.Fuzz(func(t *testing.T, after, date string) {
		h := http.Header{"Retry-After": {after}, "Date": {date}}
		if wait, ok := r.retryAfter(h); wait < 0 || !ok && wait != 0 {
			t.Fatalf("%v, %v", wait, ok)
		}
		if wait, ok := r.delay(3, &http.Response{Header: h}); ok && (wait < 0 || wait > max(MaxRetryAfter, maxRetryWait)) {
			t.Fatalf("%v", wait)
		}
	})
}

// An address that is given leads to that address and from one host and port.
func FuzzParseResolve(f *testing.F) {
	for _, s := range []string{"r.example:443:127.0.0.1", "r.example:443:127.0.0.1:8443", "[::1]:443:[::2]:1", "R:1:::1", "r:443", "[:1:1.2.3.4", "r.example:0:1.1.1.1", "r.example:0443:1.1.1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		resolve, err := parseResolve([]string{entry})
		if err != nil {
			if resolve != nil || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Fatalf("%v, %v", resolve, err)
			}
			return
		}
		for from, to := range resolve {
			address, err := netip.ParseAddrPort(to)
			if err != nil || address.Port() == 0 || from != strings.ToLower(from) {
				t.Fatalf("%q leads %q to %q", entry, from, to)
			}
			again, err := parseResolve([]string{from + ":" + to})
			if err != nil || again[from] != to {
				t.Fatalf("%q: %v, then %v, %v", entry, resolve, again, err)
			}
		}
	})
}

// A header of the command line is one header, whose value is never in an error.
func FuzzParseHeaders(f *testing.F) {
	for _, s := range []string{"X-Key: secret", "x:", ":", "a b: c", "X: a\r\nHost: evil", "authorization: Basic x", "X: \u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		headers, err := parseHeaders([]string{entry})
		if err != nil {
			if _, secret, ok := strings.Cut(entry, ":"); ok && len(secret) > 40 && strings.Contains(err.Error(), secret) {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(headers) != 1 || headers.Get("Authorization") != "" {
			t.Fatalf("%q gives %v", entry, headers)
		}
		var out bytes.Buffer
		if err := headers.Write(&out); err != nil || strings.Count(out.String(), "\r\n") != 1 {
			t.Fatalf("%q is sent as %q, %v", entry, out.String(), err)
		}
	})
}
