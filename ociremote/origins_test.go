package ociremote_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	orascontent "oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"

	"github.com/tufoci/tufoci/ociremote"
)

// internet is all hosts that there are. It keeps every request as it would leave.
type internet struct {
	mu    sync.Mutex
	seen  []*http.Request
	sent  []string // bodies
	hosts map[string]http.HandlerFunc
}

// RoundTrip implements http.RoundTripper.
func (n *internet) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body)
		req.Body.Close()
		body = string(data)
	}
	n.mu.Lock()
	n.seen, n.sent = append(n.seen, req.Clone(req.Context())), append(n.sent, body)
	handle := n.hosts[origin(req.URL)]
	n.mu.Unlock()
	w := httptest.NewRecorder()
	if handle == nil {
		http.NotFound(w, req)
	} else {
		handle(w, req)
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// origin is scheme, host and port, as the URL has them.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

const (
	secretPassword = "hunter-password"
	secretToken    = "hunter-token"
	secretHeader   = "hunter-header"
)

// visit is one trick that a registry tries on whoever asks it something.
type visit struct {
	name string
	// registry is the host that is asked, home its origin.
	registry, home string
	// realm gives the tokens; "" is the registry itself.
	realm string
	// trick answers in the place of the registry, after it has seen its token, if it
	// returns true.
	trick func(w http.ResponseWriter, r *http.Request) bool
	// others answer at other origins.
	others map[string]http.HandlerFunc
	// blobs and tokens are the origins where blobs are redirected to, and where tokens
	// may come from. No other foreign one may be asked.
	blobs, tokens []string
	// works: it is no trick, and the blob can be read.
	works bool
}

const (
	tlsRegistry   = "https://registry.example"
	plainRegistry = "http://127.0.0.1:5000"
	elsewhere     = "https://203.0.113.7"
	third         = "https://203.0.113.8"
)

// to redirects everything but tokens.
func to(status int, target string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Location", target+r.URL.RequestURI())
		w.WriteHeader(status)
		return true
	}
}

// header sets a header of otherwise honest answers.
func header(name, value string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set(name, value)
		return false
	}
}

// upload answers the begin of an upload with a place to go on.
func upload(location string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Location", location)
		w.Header().Set("Docker-Upload-UUID", third+"/uuid")
		w.Header().Set("Docker-Upload-Location", third+"/location")
		w.WriteHeader(http.StatusAccepted)
		return true
	}
}

// challenged answers with a challenge, whatever it was sent.
func challenged(challenge string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func visits() []visit {
	list := []visit{{name: "nothing", works: true}}
	for _, status := range []int{301, 302, 303, 307, 308} {
		list = append(list,
			visit{name: fmt.Sprint("redirect ", status), trick: to(status, elsewhere), blobs: []string{elsewhere}},
			visit{name: fmt.Sprint("token redirect ", status), realm: elsewhere, tokens: []string{elsewhere}, others: map[string]http.HandlerFunc{
				elsewhere: func(w http.ResponseWriter, r *http.Request) { to(status, third)(w, r) },
			}},
		)
	}
	list = append(list,
		visit{name: "redirect to another port", trick: to(307, tlsRegistry+":444"), blobs: []string{tlsRegistry + ":444"}},
		visit{name: "redirect without TLS", trick: to(307, "http://registry.example")},
		visit{name: "redirect with credentials", trick: to(307, "https://user:pass@203.0.113.7")},
		visit{name: "redirect with credentials to itself", trick: to(307, "https://user:pass@registry.example")},
		visit{name: "redirect to a file", trick: to(307, "file://")},
		visit{name: "redirect to this machine", trick: to(307, "https://127.0.0.1:1")},
		visit{name: "redirect to this machine by name", trick: to(307, "https://localhost:1")},
		visit{name: "redirect from storage to the registry's machine", registry: "127.0.0.1:5000", home: plainRegistry, trick: to(307, "http://203.0.113.7"), blobs: []string{"http://203.0.113.7"}, others: map[string]http.HandlerFunc{
			"http://203.0.113.7": func(w http.ResponseWriter, r *http.Request) { to(302, "http://127.0.0.1:6000")(w, r) },
		}},
		visit{name: "realm in wide digits", registry: "plain.example", home: "http://plain.example", realm: "http://１２７.0.0.1:6000"},
		visit{name: "realm that is a number", registry: "plain.example", home: "http://plain.example", realm: "http://127.1:6000"},
		visit{name: "redirect to the machine's neighbours", trick: to(307, "https://169.254.169.254")},
		visit{name: "redirect to the machine's neighbours, in IPv6", trick: to(307, "https://[fe80::1]")},
		visit{name: "redirect to an unspecified address", trick: to(307, "https://0.0.0.0")},
		visit{name: "redirect from this machine to its neighbours", registry: "127.0.0.1:5000", home: plainRegistry, trick: to(307, "http://169.254.169.254")},
		visit{name: "redirect on this machine", registry: "127.0.0.1:5000", home: plainRegistry, trick: to(307, "http://127.0.0.1:6000"), blobs: []string{"http://127.0.0.1:6000"}},
		visit{name: "redirect to a file server", registry: "127.0.0.1:5000", home: plainRegistry, trick: to(307, "ftp://203.0.113.7")},
		visit{name: "redirect, and on", trick: to(307, elsewhere), blobs: []string{elsewhere, third}, others: map[string]http.HandlerFunc{
			elsewhere: func(w http.ResponseWriter, r *http.Request) { to(302, third)(w, r) },
		}},
		visit{name: "redirect, and back", trick: func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.RawQuery != "back" && to(307, elsewhere)(w, r)
		}, blobs: []string{elsewhere}, others: map[string]http.HandlerFunc{
			elsewhere: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, tlsRegistry+r.URL.Path+"?back", http.StatusFound)
			},
		}},
		visit{name: "storage that asks for credentials", trick: to(307, elsewhere), blobs: []string{elsewhere}, others: map[string]http.HandlerFunc{
			elsewhere: challenged(`Basic realm="storage"`),
		}},
		visit{name: "storage that asks for a token", trick: to(307, elsewhere), blobs: []string{elsewhere}, others: map[string]http.HandlerFunc{
			elsewhere: challenged(`Bearer realm="` + third + `/token"`),
		}},
		visit{
			name: "the registry itself over TLS asks for credentials", registry: "plain.example", home: "http://plain.example",
			trick: to(307, "https://plain.example"), blobs: []string{"https://plain.example"}, others: map[string]http.HandlerFunc{
				"https://plain.example": challenged(`Basic realm="x"`),
			},
		},
		visit{name: "realm elsewhere", realm: elsewhere, tokens: []string{elsewhere}, others: map[string]http.HandlerFunc{elsewhere: giveToken}, works: true},
		visit{name: "realm with credentials", realm: "https://user:pass@203.0.113.7", others: map[string]http.HandlerFunc{elsewhere: giveToken}},
		visit{name: "realm without a host", realm: "://:"},
		visit{name: "realm that is a file", realm: "file:///etc/passwd"},
		visit{name: "realm that looks like a blob, and sends on", realm: elsewhere + "/blobs/sha256:0", tokens: []string{elsewhere}, others: map[string]http.HandlerFunc{
			elsewhere: func(w http.ResponseWriter, r *http.Request) { to(307, third)(w, r) },
		}},
		visit{name: "realm without TLS", realm: "http://203.0.113.7"},
		visit{name: "realm without TLS on the same host", realm: "http://registry.example"},
		visit{name: "realm on this machine", realm: "http://127.0.0.1:1"},
		visit{name: "realm elsewhere without TLS, of a registry without TLS", registry: "127.0.0.1:5000", home: plainRegistry, realm: "http://203.0.113.7"},
		visit{
			name: "realm on another port of a registry without TLS", registry: "127.0.0.1:5000", home: plainRegistry, realm: "http://127.0.0.1:6000",
			tokens: []string{"http://127.0.0.1:6000"}, others: map[string]http.HandlerFunc{"http://127.0.0.1:6000": giveToken},
		},
		visit{name: "realm that asks for a token", realm: elsewhere, tokens: []string{elsewhere}, others: map[string]http.HandlerFunc{
			elsewhere: challenged(`Bearer realm="` + third + `/token"`),
		}},
		visit{name: "upload elsewhere", trick: upload(elsewhere + "/up")},
		visit{name: "upload to another port", trick: upload(tlsRegistry + ":444/up")},
		visit{name: "upload without TLS", trick: upload("http://registry.example/up")},
		visit{name: "upload with credentials", trick: upload("https://user:pass@registry.example/up")},
		visit{name: "upload of a registry without TLS with TLS", registry: "127.0.0.1:5000", home: plainRegistry, trick: upload("https://127.0.0.1:5000/up")},
		visit{name: "upload that is redirected", trick: func(w http.ResponseWriter, r *http.Request) bool {
			return upload("/up")(w, r) || (r.Method == http.MethodPut && to(307, elsewhere)(w, r))
		}},
		visit{name: "next page elsewhere", trick: header("Link", `<`+elsewhere+`/next>; rel="next"`)},
		visit{name: "next page on another port", trick: header("Link", `<`+tlsRegistry+`:444/next>; rel="next"`)},
		visit{name: "next page without TLS", trick: header("Link", `<http://registry.example/next>; rel="next"`)},
		visit{name: "cookies", trick: header("Set-Cookie", "session="+secretToken+"; Domain=example")},
		visit{name: "location beside the answer", trick: header("Location", elsewhere+"/x")},
		visit{name: "refresh", trick: header("Refresh", "0; url="+elsewhere)},
		visit{name: "alternative service", trick: header("Alt-Svc", `h2="203.0.113.7:443"`)},
	)
	for _, local := range []string{
		"LOCALHOST", "localhost.", "Localhost.:1", "any.localhost", "any.localhost.", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.2",
		"127.0.0.1.", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0", "127.0.0.0x1", "0x7F.0x1.",
		"１２７.０.０.１", "127。0。0。1", "ｌｏｃａｌｈｏｓｔ", "169.254.43518", "[::ffff:169.254.169.254]", "[::]", "[fe80::1%25eth0]",
	} {
		list = append(list, visit{name: "redirect to " + local, trick: to(307, "https://"+local)})
	}
	for i := range list {
		if list[i].registry == "" {
			list[i].registry, list[i].home = "registry.example", tlsRegistry
		}
	}
	return list
}

func giveToken(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, `{"token":%q,"access_token":%q}`, secretToken, secretToken)
}

// serve is the registry: it wants its token, and has one blob, one bundle with urls in
// its layers, and a list of referrers and tags.
func (v *visit) serve(manifest, blob []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		realm := v.realm
		if realm == "" {
			realm = v.home
		}
		if r.URL.Path == "/token" {
			giveToken(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+secretToken {
			challenged(fmt.Sprintf(`Bearer realm="%s/token",service="s"`, realm))(w, r)
			return
		}
		if v.trick != nil && v.trick(w, r) {
			return
		}
		switch path := r.URL.Path; {
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "/up")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusAccepted)
		case strings.Contains(path, "/referrers/"):
			indexAnswer(w, listOf())
		case strings.Contains(path, "/tags/"):
			fmt.Fprint(w, `{"tags":["a"]}`)
		case strings.Contains(path, "/manifests/"):
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Docker-Content-Digest", digest.FromBytes(manifest).String())
			_, _ = w.Write(manifest)
		case strings.Contains(path, "/blobs/"):
			_, _ = w.Write(blob)
		}
	}
}

// TestNoRequestGoesElsewhere walks every operation through every trick. Only the realm
// and storage for blobs may be asked beside the registry, nobody else gets its token,
// the password, custom headers or cookies, and only the realm gets the password.
func TestNoRequestGoesElsewhere(t *testing.T) {
	t.Parallel()
	blob := []byte("blob")
	b, _, err := ociremote.Pack([]ociremote.Content{{Title: "targets/x", Data: blob}}, ociremote.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	manifest := bytes.ReplaceAll(b.Manifest, []byte(`"annotations":{"org.opencontainers.image.title"`),
		[]byte(`"urls":["`+elsewhere+`/x"],"annotations":{"org.opencontainers.image.title"`))
	for _, v := range visits() {
		for _, o := range []ociremote.Options{{Username: "user", Password: secretPassword}, {IdentityToken: secretPassword}} {
			if o.IdentityToken != "" && v.realm == "" {
				continue // which goes to realms only
			}
			t.Run(fmt.Sprint(v.name, o.Username), func(t *testing.T) {
				t.Parallel()
				v.walk(t, o, manifest, blob)
			})
		}
	}
}

func (v *visit) walk(t *testing.T, o ociremote.Options, manifest, blob []byte) {
	n := &internet{hosts: map[string]http.HandlerFunc{v.home: v.serve(manifest, blob)}}
	maps.Copy(n.hosts, v.others)
	o.Base, o.Retries, o.Headers = n, -1, []string{"X-Key: " + secretHeader}
	o.PlainHTTP = v.registry == "plain.example"
	c := newClient(t, o)
	layer := ocispec.Descriptor{MediaType: ociremote.MediaTypeTarget, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	ctx := t.Context()
	for _, push := range []bool{false, true} {
		repo := openRepository(t, c, v.registry+"/acme/trust", push)
		known := ociremote.Known{Digest: digest.FromString("x"), Size: 1 << 20}
		_, _ = ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{})
		_, _ = ociremote.FetchBundle(ctx, repo, "tuf", known)
		_, _ = ociremote.FetchManifest(ctx, repo, image.Digest.String())
		_, _ = repo.Resolve(ctx, "tuf")
		_, blobErr := ociremote.FetchBlob(ctx, repo, layer, 100)
		if v.works && blobErr != nil {
			t.Errorf("blob: %v", blobErr)
		}
		_, _ = repo.Exists(ctx, layer)
		_, _ = ociremote.Referrers(ctx, repo, image, ociremote.ReferrersOptions{})
		_ = repo.(registry.TagLister).Tags(ctx, "", func([]string) error { return nil })
		_, _ = ociremote.Ask(ctx, repo, ociremote.Question{Method: http.MethodPost, Path: "/blobs/uploads/"})
		_, _ = ociremote.Ask(ctx, repo, ociremote.Question{Method: http.MethodDelete, Path: "/blobs/" + layer.Digest.String()})
		w, ok := repo.(ociremote.WritableRepository)
		if !ok || !push {
			continue
		}
		_ = w.Push(ctx, layer, bytes.NewReader(blob))
		_ = w.Push(ctx, image, bytes.NewReader(manifest))
		_ = w.PushReference(ctx, image, bytes.NewReader(manifest), "tuf")
		content := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }
		_ = w.(registry.Mounter).Mount(ctx, layer, "acme/other", content)
		_ = w.(orascontent.Untagger).Untag(ctx, "tuf")
		_ = w.(orascontent.Deleter).Delete(ctx, image)
	}
	_ = c.Login(ctx, v.registry)
	v.judge(t, n)
}

// judge looks at what was sent to whom.
func (v *visit) judge(t *testing.T, n *internet) {
	asked := map[string]bool{}
	for i, r := range n.seen {
		at := origin(r.URL)
		asked[at] = true
		blobs, tokens := slices.Contains(v.blobs, at), slices.Contains(v.tokens, at)
		own := at == v.home
		if !own && !blobs && !tokens {
			t.Errorf("%s %s was asked", r.Method, r.URL)
		}
		if blobs && (!strings.Contains(r.URL.Path, "/blobs/sha256:") || r.Method != http.MethodGet && r.Method != http.MethodHead) {
			t.Errorf("%s %s is no blob", r.Method, r.URL)
		}
		if r.URL.User != nil {
			t.Errorf("%s has credentials in it", r.URL)
		}
		for name, values := range r.Header {
			text := name + ": " + strings.Join(values, ", ")
			switch {
			case name == "Cookie" || name == "Referer" || !own && strings.Contains(text, secretHeader), !own && strings.Contains(text, secretToken),
				name == "Authorization" && !own && !tokens:
				t.Errorf("%s was sent %s", r.URL, text)
			}
		}
		if strings.Contains(n.sent[i], secretPassword) && !own && !tokens {
			t.Errorf("%s was sent %s", r.URL, n.sent[i])
		}
		if q := r.URL.RawQuery; strings.Contains(q, secretPassword) || strings.Contains(q, secretToken) {
			t.Errorf("%s has a secret in it", r.URL)
		}
	}
	for _, at := range append(append([]string{v.home}, v.blobs...), v.tokens...) {
		if !asked[at] {
			t.Errorf("%s was not asked", at)
		}
	}
}

// What is refused says so, and names the host that it would have been.
func TestRedirectOfAManifest(t *testing.T) {
	t.Parallel()
	n := &internet{hosts: map[string]http.HandlerFunc{tlsRegistry: func(w http.ResponseWriter, r *http.Request) { to(307, elsewhere)(w, r) }}}
	repo := openRepository(t, newClient(t, ociremote.Options{Base: n}), "registry.example/acme/trust", false)
	_, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
	if _, transport := errors.AsType[*ociremote.TransportError](err); !transport || !errors.Is(err, ociremote.ErrRedirect) || !strings.Contains(err.Error(), elsewhere) {
		t.Errorf("%v", err)
	}
}

// The client's certificate is for the registry: storage and whoever gives tokens may ask
// for one, and get none.
func TestCertificateStaysWithTheRegistry(t *testing.T) {
	t.Parallel()
	blob := []byte("blob")
	shown := map[string]int{}
	var mu sync.Mutex
	serve := func(name string, handle http.HandlerFunc) *httptest.Server {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			shown[name] += len(r.TLS.PeerCertificates)
			shown["asked "+name]++
			mu.Unlock()
			handle(w, r)
		}))
		server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	storage := serve("storage", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(blob) })
	realm := serve("realm", giveToken)
	registry := serve("registry", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			challenged(fmt.Sprintf(`Bearer realm="%s/token"`, realm.URL))(w, r)
			return
		}
		http.Redirect(w, r, storage.URL, http.StatusTemporaryRedirect)
	})
	certificate, key := clientCertificate(t)
	c := newClient(t, ociremote.Options{CertFile: certificate, KeyFile: key, Insecure: true})
	repo := open(t, c, strings.TrimPrefix(registry.URL, "https://"))
	layer := ocispec.Descriptor{MediaType: ociremote.MediaTypeTarget, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	if _, err := ociremote.FetchBlob(t.Context(), repo, layer, 100); err != nil {
		t.Fatal(err)
	}
	resp, err := c.HTTP().Get(storage.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	mu.Lock()
	defer mu.Unlock()
	want := map[string]int{"registry": 2, "asked registry": 2, "realm": 0, "asked realm": 1, "storage": 1, "asked storage": 2}
	if !maps.Equal(shown, want) {
		t.Errorf("certificates shown: %v, want %v", shown, want)
	}
}

// clientCertificate writes a certificate and its key.
func clientCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}
