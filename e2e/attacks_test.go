package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// world is a published repository and what an attacker can reach of it.
type world struct {
	t        testing.TB
	repo     *tuftest.Repo
	registry *tuftest.Registry
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t, tuftest.NewRepo(t, tuftest.RepoOptions{Threshold: 2}), tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})}
	w.repo.AddTarget("good.txt", []byte("good"))
	w.repo.Publish()
	w.push(tuftest.PackOptions{})
	return w
}

func (w *world) repository() string { return w.registry.Host() + "/acme/trust" }

// push puts what was signed last under the tag.
func (w *world) push(o tuftest.PackOptions) {
	w.t.Helper()
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(w.t, w.repo.Files(), o))
}

// answer lets the registry answer every request in one way.
func (w *world) answer(handler http.HandlerFunc) {
	w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, _ http.Handler) { handler(out, r) })
}

func (w *world) status(code int) {
	w.answer(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(code) })
}

// consumer is a person who pinned the repository's first root.
func (w *world) consumer() *person {
	w.t.Helper()
	p := newPerson(w.t).at(w.repo.Now())
	p.trusts(w.repository(), p.file("root.json", w.repo.RootBytes()))
	return p
}

// kept is what a person has on disk, by file name and digest.
func (p *person) kept() map[string]string {
	p.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(p.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

// next signs new versions of all roles but the root: something that every
// consumer takes, were it not for the attack that follows.
func (w *world) next() *tuftest.Repo {
	w.t.Helper()
	w.repo.Touch("targets")
	w.repo.Publish()
	return w.repo
}

// bend edits the signed part of a role without signing it again.
func bend(data []byte) []byte {
	return bytes.Replace(data, []byte(`"spec_version":"1.0.31"`), []byte(`"spec_version":"1.0.30"`), 1)
}

// effect is what an attack does to a consumer beside the failure.
type effect int

const (
	nothing  effect = iota
	progress        // what verified before the attack was met is kept: a newer timestamp
	waits           // the client tries again until its time is up
)

// attacks are refused with the exit code that is theirs, and the honest
// repository is read again when they are over.
var attacks = []struct {
	name   string
	code   int
	effect effect
	mount  func(w *world)
}{
	{"tampered timestamp", 22, nothing, func(w *world) { w.next().Tamper("timestamp", bend); w.push(tuftest.PackOptions{}) }},
	{"tampered snapshot", 22, progress, func(w *world) { w.next().Tamper("snapshot", bend); w.push(tuftest.PackOptions{}) }},
	{"tampered targets", 22, progress, func(w *world) { w.next().Tamper("targets", bend); w.push(tuftest.PackOptions{}) }},
	{"tampered root", 22, nothing, func(w *world) {
		w.repo.RotateKey("root")
		w.next().Tamper("root", bend)
		w.push(tuftest.PackOptions{})
	}},
	{"root that the old keys did not sign", 22, nothing, func(w *world) {
		w.repo.RotateKey("root")
		w.next().SignAs("root", w.repo.Keys("root")...)
		w.push(tuftest.PackOptions{})
	}},
	{"threshold of timestamp not met", 22, nothing, func(w *world) { w.next().Unsign("timestamp", 1); w.push(tuftest.PackOptions{}) }},
	{"threshold of targets not met", 22, progress, func(w *world) { w.next().Unsign("targets", 1); w.push(tuftest.PackOptions{}) }},
	{"keys of another role", 22, progress, func(w *world) {
		w.next().SignAs("targets", w.repo.Keys("snapshot")...)
		w.push(tuftest.PackOptions{})
	}},
	{"one key that signs twice", 25, progress, func(w *world) {
		key := w.next().Signer("targets")
		w.repo.SignAs("targets", key, key)
		w.push(tuftest.PackOptions{})
	}},
	{"expired timestamp", 20, nothing, expire("timestamp")},
	{"expired snapshot", 20, progress, expire("snapshot")},
	{"expired targets", 20, progress, expire("targets")},
	{"expired root", 20, progress, expire("root")},
	{"targets that are no JSON", 25, progress, func(w *world) {
		w.next().Tamper("targets", func(data []byte) []byte { return data[:len(data)/2] })
		w.push(tuftest.PackOptions{})
	}},
	{"role for another role", 25, progress, func(w *world) {
		w.next().Tamper("targets", func([]byte) []byte { return w.repo.Data("snapshot") })
		w.push(tuftest.PackOptions{})
	}},
	{"timestamp over its limit", 25, nothing, func(w *world) {
		w.next().Forge("timestamp", func(signed map[string]any) { signed["padding"] = strings.Repeat("x", 1<<20) })
		w.push(tuftest.PackOptions{})
	}},
	{"inline layer with another file", 25, nothing, func(w *world) {
		files := w.next().Files()
		lie := maps.Clone(files)
		lie[w.repo.Title("timestamp")] = bend(files[w.repo.Title("timestamp")])
		w.push(tuftest.PackOptions{InlineLayer: tuftest.InlineLayer(w.t, lie, slices.Sorted(maps.Keys(lie)))})
	}},
	{"inline layer that is no archive", 25, nothing, func(w *world) {
		w.next()
		w.push(tuftest.PackOptions{InlineLayer: []byte("junk")})
	}},
	{"title outside the repository", 25, nothing, func(w *world) {
		files := map[string][]byte{"metadata/../../etc/passwd": []byte("root")}
		w.registry.Push("acme/trust", "tuf", tuftest.Pack(w.t, files, tuftest.PackOptions{NoInline: true}))
	}},
	{"manifest of more than 4 MiB", 25, nothing, func(w *world) {
		w.next()
		w.push(tuftest.PackOptions{Annotations: map[string]string{"padding": strings.Repeat("x", 5<<20)}})
	}},
	{"bundle of a later format", 25, nothing, func(w *world) {
		w.next()
		w.push(tuftest.PackOptions{Annotations: map[string]string{"io.tufoci.version": "2"}})
	}},
	{"truncated manifest", 25, nothing, func(w *world) {
		manifest := w.offer()
		w.manifest(tuftest.Digest(manifest), manifest[:len(manifest)/2])
	}},
	{"manifest of another digest", 25, nothing, func(w *world) { w.manifest(tuftest.Digest(nil), w.offer()) }},
	{"login page", 50, nothing, func(w *world) {
		w.answer(func(out http.ResponseWriter, _ *http.Request) {
			out.Header().Set("Content-Type", "text/html")
			fmt.Fprint(out, "<html>please log in</html>")
		})
	}},
	{"lost blob", 50, progress, func(w *world) {
		w.next()
		w.push(tuftest.PackOptions{NoInline: true})
		w.registry.DeleteBlob("acme/trust", tuftest.Digest(w.repo.Data("targets")))
	}},
	{"missing tag", 11, nothing, func(w *world) { w.registry.DeleteTag("acme/trust", "tuf") }},
	{"401", 51, nothing, func(w *world) { w.status(http.StatusUnauthorized) }},
	{"403", 51, nothing, func(w *world) { w.status(http.StatusForbidden) }},
	{"429", 50, waits, func(w *world) { w.status(http.StatusTooManyRequests) }},
	{"500", 50, waits, func(w *world) { w.status(http.StatusInternalServerError) }},
	{"dead registry", 50, waits, func(w *world) { w.registry.KillAt(1, tuftest.Before) }},
	{"registry that drips", 50, waits, func(w *world) {
		manifest := w.offer()
		w.answer(func(out http.ResponseWriter, r *http.Request) {
			manifestHeader(out, tuftest.Digest(manifest), len(manifest))
			for i := range manifest {
				_, _ = out.Write(manifest[i : i+1])
				_ = http.NewResponseController(out).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}},
}

// offer signs something new and returns a bundle of it that is not pushed.
func (w *world) offer() []byte {
	w.t.Helper()
	return tuftest.Pack(w.t, w.next().Files(), tuftest.PackOptions{}).Manifest
}

// manifest lets the registry answer with these bytes under this digest.
func (w *world) manifest(digest string, data []byte) {
	w.answer(func(out http.ResponseWriter, _ *http.Request) {
		manifestHeader(out, digest, len(data))
		_, _ = out.Write(data)
	})
}

func manifestHeader(out http.ResponseWriter, digest string, length int) {
	out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	out.Header().Set("Docker-Content-Digest", digest)
	out.Header().Set("Content-Length", fmt.Sprint(length))
}

func expire(role string) func(w *world) {
	return func(w *world) {
		w.repo.SetExpiry(role, w.repo.Now().Add(-time.Minute))
		w.repo.Publish()
		w.push(tuftest.PackOptions{})
	}
}

// TestAttacks mounts each attack against a consumer with a state and against
// one that adds its trust just then.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			consumer, fresh := w.consumer(), newPerson(t).at(w.repo.Now())
			root := fresh.file("root.json", w.repo.RootBytes())
			honest := w.repo.Fork()
			attack.mount(w)

			patience := map[bool]string{true: "1s", false: "1m"}[attack.effect == waits]
			before := consumer.kept()
			consumer.fails(attack.code, "trust", "update", "acme", "--plain-http", "--timeout", patience)
			if got := !maps.Equal(before, consumer.kept()); got != (attack.effect == progress) {
				t.Errorf("the consumer's files changed: %v", got)
			}
			fresh.fails(attack.code, "trust", "add", "acme", w.repository(), "--root", root, "--plain-http", "--timeout", patience)
			if got := fresh.must("trust", "list"); strings.Contains(got, "acme") {
				t.Errorf("a trust was added: %s", got)
			}

			w.registry.Intercept(nil)
			w.registry.Revive()
			if strings.HasPrefix(attack.name, "expired") { // that was the publisher's own
				honest = w.repo
			}
			for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
				if role != "root" {
					honest.SetVersion(role, 10)
				}
				honest.SetExpiry(role, honest.Now().Add(time.Hour))
			}
			honest.AddTarget("good.txt", []byte("better"))
			honest.Publish()
			w.registry.Push("acme/trust", "tuf", tuftest.Pack(t, honest.Files(), tuftest.PackOptions{}))
			if got := consumer.must("get", "acme", "good.txt", "--plain-http"); got != "better" {
				t.Errorf("after the attack good.txt = %q", got)
			}
		})
	}
}

// TestPartialBundle: one image's worth of a repository is no source of a copy.
func TestPartialBundle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(tuftest.PackOptions{Annotations: map[string]string{"io.tufoci.partial": "true"}})
	p := newPerson(t).at(w.repo.Now())
	p.fails(25, "mirror", "copy", w.repository(), w.registry.Host()+"/acme/mirror", "--root", p.file("root.json", w.repo.RootBytes()),
		"--from-plain-http", "--to-plain-http")
	if got := w.registry.Tags("acme/mirror"); len(got) != 0 {
		t.Errorf("tags %v", got)
	}
}

// TestRollbackIsNotTaken: an older bundle under the tag never takes a consumer
// back, and one that saw nothing newer is held by its trust's minimum.
func TestRollbackIsNotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.registry.Manifest("acme/trust", "tuf")
	oldVersion := w.repo.Version("timestamp")
	w.repo.AddTarget("good.txt", []byte("better"))
	w.repo.Publish()
	w.push(tuftest.PackOptions{})
	consumer := w.consumer()
	w.registry.PutManifest("acme/trust", "tuf", old)
	before := consumer.kept()
	consumer.fails(21, "trust", "update", "acme", "--plain-http")
	if !maps.Equal(before, consumer.kept()) {
		t.Error("the consumer's files changed")
	}
	fresh := newPerson(t).at(w.repo.Now())
	fresh.fails(21, "trust", "add", "acme", w.repository(), "--plain-http",
		"--root", fresh.file("root.json", w.repo.RootBytes()), "--min-timestamp", fmt.Sprint(oldVersion+1))
}

// TestWrongRoots: no root, another repository's, and a stored chain that does
// not start at the pin.
func TestWrongRoots(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := newPerson(t).at(w.repo.Now())
	other := stranger.file("other.json", tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes())
	stranger.fails(2, "trust", "add", "acme", w.repository(), "--plain-http")
	stranger.fails(23, "trust", "add", "acme", w.repository(), "--plain-http", "--root", other)
	stranger.fails(23, "trust", "add", "acme", w.repository(), "--plain-http", "--checksum", tuftest.Digest(nil))
	stranger.fails(23, "ls", w.repository(), "--plain-http")
	stranger.fails(23, "get", "acme", "good.txt", "--plain-http")

	consumer := w.consumer()
	consumer.fails(23, "trust", "add", "acme", w.repository(), "--plain-http", "--root", other)

	planted := false
	for file := range consumer.kept() {
		if strings.Contains(file, string(filepath.Separator)+"state"+string(filepath.Separator)) && strings.HasSuffix(file, "1.root.json") {
			if err := os.WriteFile(file, tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			planted = true
		}
	}
	if !planted {
		t.Fatalf("no root among the consumer's files: %v", slices.Sorted(maps.Keys(consumer.kept())))
	}
	before := consumer.kept()
	consumer.fails(23, "trust", "update", "acme", "--plain-http")
	if !maps.Equal(before, consumer.kept()) {
		t.Error("the planted state was changed")
	}
}

// reserved are names that only the top-level role may answer for.
var reserved = []string{
	"notation/x509/ca/acme/evil.pem", "notation/trustpolicy.json", "notation/crl/evil.crl",
	"revocations.json", "tufoci/anything",
}

// TestReservedNames: a delegated role or a bin that lists a reserved name
// changes nothing, in lookup and in enumeration, although plain TUF clients
// would take it.
func TestReservedNames(t *testing.T) {
	t.Parallel()
	patterns := []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}
	for name, delegate := range map[string]func(r *tuftest.Repo) string{
		"role": func(r *tuftest.Repo) string {
			r.Delegate("targets", "team", patterns, false)
			return "team"
		},
		"terminating role": func(r *tuftest.Repo) string {
			r.Delegate("targets", "team", patterns, true)
			return "team"
		},
		"nested role": func(r *tuftest.Repo) string {
			r.Delegate("targets", "team", patterns, false)
			r.Delegate("team", "squad", patterns, false)
			return "squad"
		},
		"bins": func(r *tuftest.Repo) string {
			r.DelegateBins("targets", "images", 4)
			return "images"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			role := delegate(w.repo)
			for _, target := range reserved {
				w.repo.AddTargetTo(role, target, []byte("planted"))
			}
			w.repo.Publish()
			if name == "bins" { // a hub for every name, as a careless tool would make it
				w.repo.Forge("targets", func(signed map[string]any) {
					roles := signed["delegations"].(map[string]any)["roles"].([]any)
					roles[0].(map[string]any)["paths"] = patterns
				})
			}
			w.push(tuftest.PackOptions{})
			consumer := w.consumer()
			for _, target := range reserved {
				consumer.fails(1, "get", "acme", target, "--plain-http")
			}
			var listed struct {
				Targets []struct {
					Path string `json:"path"`
				} `json:"targets"`
				Warnings []string `json:"warnings"`
			}
			consumer.decode(&listed, "ls", "acme", "--plain-http")
			if len(listed.Targets) != 1 || listed.Targets[0].Path != "good.txt" {
				t.Errorf("listed: %v", listed.Targets)
			}
			if encoded, _ := json.Marshal(listed.Warnings); !strings.Contains(string(encoded), role) {
				t.Errorf("no warning names the role: %s", encoded)
			}
		})
	}
}

// TestReservedPatternsAreRefused: no delegation that could match one is made.
func TestReservedPatternsAreRefused(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, "registry.example")
	p.must("key", "generate", "team")
	for _, pattern := range []string{
		"*", "*/*", "*/*/*", "*.json", "notation/*", "notation/x509/ca/*/*", "n*/*", "revocations.*", "revocations/*", "tufoci/*",
	} {
		p.fails(33, "role", "add", "team", "--path", pattern, "--key", "team")
	}
	p.must("role", "add", "team", "--path", "charts/*", "--key", "team")
}

// TestWrongPassphrase signs nothing and sends nothing.
func TestWrongPassphrase(t *testing.T) {
	t.Parallel()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	p := newPublisher(t, registry.Host())
	right := p.env["TUFOCI_PASSPHRASE"]
	before := p.kept()
	for _, wrong := range []string{"wrong", ""} {
		p.env["TUFOCI_PASSPHRASE"] = wrong
		p.fails(map[bool]int{true: 2, false: 32}[wrong == ""], "publish", "-y", "--plain-http")
	}
	if got := registry.Tags("acme/trust"); len(got) != 0 {
		t.Errorf("tags %v", got)
	}
	if !maps.Equal(before, p.kept()) {
		t.Error("the workspace changed")
	}
	p.env["TUFOCI_PASSPHRASE"] = right
	p.must("publish", "-y", "--plain-http")
}
