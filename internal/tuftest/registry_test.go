package tuftest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tufoci/tufoci/internal/tuftest"
)

const manifestPath = "/v2/acme/trust/manifests/tuf"

func pushed(t *testing.T, o tuftest.RegistryOptions) (*tuftest.Registry, *tuftest.Bundle) {
	t.Helper()
	g := tuftest.NewRegistry(t, o)
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.AddTarget("a.txt", []byte("a"))
	repo.Publish()
	bundle := tuftest.Pack(t, repo.Files(), tuftest.PackOptions{})
	g.Push("acme/trust", "tuf", bundle)
	return g, bundle
}

// orasRepository is a plain oras-go client of a registry.
func orasRepository(t *testing.T, g *tuftest.Registry, username, password string) *remote.Repository {
	t.Helper()
	repository, err := remote.NewRepository(g.Host() + "/acme/trust")
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	repository.Client = &auth.Client{
		Client: g.Client(),
		Cache:  auth.NewCache(),
		Credential: auth.StaticCredential(g.Host(), auth.Credential{
			Username: username, Password: password,
		}),
	}
	return repository
}

// get asks for the manifest as a bare http client.
func get(t *testing.T, g *tuftest.Registry, header http.Header) (*http.Response, []byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL()+manifestPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := g.Client().Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

func TestRegistryServesBundle(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{
		"open":    {},
		"basic":   {Basic: true, Username: "u", Password: "p"},
		"token":   {Token: true, Username: "u", Password: "p"},
		"latency": {Latency: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, bundle := pushed(t, o)
			repository := orasRepository(t, g, "u", "p")
			desc, body, err := repository.FetchReference(t.Context(), "tuf")
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if data, err := content.ReadAll(body, desc); err != nil || !bytes.Equal(data, bundle.Manifest) {
				t.Errorf("manifest differs (error %v)", err)
			}
			if got, want := len(g.Requests()), map[bool]int{true: 3, false: 1}[o.Token]; got != want && !o.Basic {
				t.Errorf("%d requests, want %d: %v", got, want, g.Requests())
			}
			// oras-go closes the 401 unread, which costs a second connection.
			challenged := o.Basic || o.Token
			if got := g.Connections(); got < 1 || got > 2 || got != 1 && !challenged {
				t.Errorf("%d connections", got)
			}
			if _, sent := g.Traffic(); sent < int64(len(bundle.Manifest)) {
				t.Errorf("%d bytes sent, less than the manifest", sent)
			}
			if last := g.Requests()[len(g.Requests())-1]; last.Status != 200 || last.Bytes != len(bundle.Manifest) || last.Path != manifestPath {
				t.Errorf("recorded %+v", last)
			}
			g.Reset()
			if len(g.Requests()) != 0 || g.Connections() != 0 {
				t.Error("Reset left something")
			}
		})
	}
}

func TestRegistryRefusesWrongCredentials(t *testing.T) {
	t.Parallel()
	for _, o := range []tuftest.RegistryOptions{{Basic: true}, {Token: true, Username: "u", Password: "p"}} {
		g, _ := pushed(t, o)
		if _, err := orasRepository(t, g, "u", "wrong").Resolve(t.Context(), "tuf"); err == nil {
			t.Errorf("%+v: wrong password accepted", o)
		}
	}
}

func TestTokenIsHeldToItsScope(t *testing.T) {
	t.Parallel()
	g, _ := pushed(t, tuftest.RegistryOptions{Token: true})
	scoped := func(scope string) int {
		answer, err := g.Client().Get(g.URL() + "/token?service=x&scope=" + scope)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var issued struct {
			Token string `json:"token"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&issued); err != nil {
			t.Fatal(err)
		}
		answer, _, err = get(t, g, http.Header{"Authorization": {"Bearer " + issued.Token}})
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	for scope, want := range map[string]int{
		"repository:acme/trust:pull":        200,
		"repository:acme/trust:pull,push":   200,
		"repository:acme/trust:push":        401,
		"repository:acme/other:pull":        401,
		"repository:acme/trust/sub:pull":    401,
		"registry:catalog:*":                401,
		"repository:acme/trust:delete,pull": 200,
	} {
		if got := scoped(scope); got != want {
			t.Errorf("scope %s: status %d, want %d", scope, got, want)
		}
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	g, bundle := pushed(t, tuftest.RegistryOptions{ETag: true})
	for tag, want := range map[string]int{
		bundle.Digest:                         304,
		`"` + bundle.Digest + `"`:             304,
		`"` + tuftest.Digest(nil) + `"`:       200,
		`W/"` + bundle.Digest + `"`:           200,
		`*`:                                   200,
		`"` + bundle.Digest + `", "something`: 200,
	} {
		answer, _, err := get(t, g, http.Header{"If-None-Match": {tag}})
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want || answer.Header.Get("ETag") != `"`+bundle.Digest+`"` {
			t.Errorf("If-None-Match %s: status %d, want %d; ETag %s", tag, answer.StatusCode, want, answer.Header.Get("ETag"))
		}
	}
	plain, _ := pushed(t, tuftest.RegistryOptions{})
	if answer, _, err := get(t, plain, nil); err != nil || answer.Header.Get("ETag") != "" {
		t.Errorf("an ETag, or an error, without ETag mode: %v", err)
	}
}

func TestNoReferrers(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		g, bundle := pushed(t, tuftest.RegistryOptions{NoReferrers: off})
		answer, err := g.Client().Get(g.URL() + "/v2/acme/trust/referrers/" + bundle.Digest)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if want := map[bool]int{true: 404, false: 200}[off]; answer.StatusCode != want {
			t.Errorf("NoReferrers %v: status %d, want %d", off, answer.StatusCode, want)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	g, _ := pushed(t, tuftest.RegistryOptions{TLS: true})
	if answer, _, err := get(t, g, nil); err != nil || answer.StatusCode != 200 {
		t.Errorf("own client: %v", err)
	}
	if _, err := http.Get(g.URL()); err == nil {
		t.Error("a client that does not know the certificate gets an answer")
	}
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(g.CAFile()); err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("the CA file holds no certificate (error %v)", err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	if _, err := client.Get(g.URL() + manifestPath); err != nil {
		t.Errorf("client with the CA file: %v", err)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	for _, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			g, bundle := pushed(t, tuftest.RegistryOptions{})
			put := func(tag string) error {
				request, err := http.NewRequestWithContext(context.Background(), http.MethodPut, g.URL()+"/v2/acme/trust/manifests/"+tag, bytes.NewReader(bundle.Manifest))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				answer, err := g.Client().Do(request)
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				_, err = io.ReadAll(answer.Body)
				return err
			}
			g.KillAt(2, when)
			if err := put("one"); err != nil || g.Killed() {
				t.Fatalf("dead before its time: %v", err)
			}
			if err := put("two"); err == nil || !g.Killed() {
				t.Error("the second request is answered")
			}
			if err := put("three"); err == nil {
				t.Error("the third request is answered")
			}
			want := []string{"one", "tuf"}
			if when != tuftest.Before {
				want = []string{"one", "tuf", "two"}
			}
			if got := g.Tags("acme/trust"); !slices.Equal(got, want) {
				t.Errorf("tags %v, want %v", got, want)
			}
			g.Revive()
			if err := put("four"); err != nil {
				t.Errorf("after Revive: %v", err)
			}
		})
	}
}

func TestKillMidCutsTheBody(t *testing.T) {
	t.Parallel()
	g, bundle := pushed(t, tuftest.RegistryOptions{})
	g.KillAt(1, tuftest.Mid)
	answer, body, err := get(t, g, nil)
	if err == nil || answer == nil || answer.StatusCode != 200 || len(body) != len(bundle.Manifest)/2 {
		t.Errorf("%d bytes of %d, error %v", len(body), len(bundle.Manifest), err)
	}
}

func TestIntercept(t *testing.T) {
	t.Parallel()
	g, _ := pushed(t, tuftest.RegistryOptions{})
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if len(g.Requests()) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
	for _, want := range []int{429, 200} {
		if answer, _, err := get(t, g, nil); err != nil || answer.StatusCode != want {
			t.Errorf("status %d (error %v), want %d", answer.StatusCode, err, want)
		}
	}
	if got := g.Requests()[0].Status; got != 429 {
		t.Errorf("recorded status %d, want 429", got)
	}
}

func TestLosingContent(t *testing.T) {
	t.Parallel()
	g, bundle := pushed(t, tuftest.RegistryOptions{})
	for digest := range bundle.Blobs {
		g.DeleteBlob("acme/trust", digest)
		if _, ok := g.Blob("acme/trust", digest); ok {
			t.Errorf("blob %s is still there", digest)
		}
	}
	if _, ok := g.Manifest("acme/trust", "tuf"); !ok {
		t.Error("the manifest went with its blobs")
	}
	if got := g.Digest("acme/trust", "tuf"); got != bundle.Digest {
		t.Errorf("digest %s, want %s", got, bundle.Digest)
	}
	g.DeleteTag("acme/trust", "tuf")
	if got := g.Tags("acme/trust"); len(got) != 0 {
		t.Errorf("tags %v after the last was deleted", got)
	}
}

func TestLegacyLayout(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.AddTarget("a.txt", []byte("a"))
	repo.Delegate("targets", "team", []string{"team/*"}, true)
	repo.AddTargetTo("team", "team/b.txt", []byte("b"))
	repo.Publish()
	g.PushLegacy("acme/metadata", "latest", "acme/targets", repo)
	if got, want := g.Tags("acme/metadata"), []string{"latest", "team"}; !slices.Equal(got, want) {
		t.Errorf("metadata tags %v, want %v", got, want)
	}
	if got, want := g.Tags("acme/targets"), []string{tuftest.Digest([]byte("a"))[len("sha256:"):] + ".a.txt", "team"}; !slices.Equal(got, want) {
		t.Errorf("target tags %v, want %v", got, want)
	}
	manifest, _ := g.Manifest("acme/metadata", "team")
	if !bytes.Contains(manifest, []byte(`"tuf.io/filename":"1.team.json"`)) {
		t.Errorf("role manifest %s", manifest)
	}
}
