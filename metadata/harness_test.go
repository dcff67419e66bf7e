package metadata

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// start is when the tests begin: a fraction of a second and a zone that metadata must not show.
var start = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("east", 3600))

// world is a workspace, the channel that it publishes to, and a client of that.
type world struct {
	t       *testing.T
	dir     string
	now     time.Time
	keys    map[string]string // environment: NAME to PEM
	channel map[string]File   // the head by title, with all bytes; nil: empty
	pushed  time.Time
	digest  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, dir: filepath.Join(t.TempDir(), "ws"), now: start, keys: map[string]string{}}
}

// uri makes a key on first use and is where it can be read: an unencrypted one, since key derivation is slow.
func (w *world) uri(name string) string {
	if w.keys[name] == "" {
		key, err := GenerateKey(KeyEd25519)
		w.must(err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		w.must(err)
		w.keys[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return "env:" + name
}

func (w *world) env(name string) (string, bool) {
	v, ok := w.keys[name]
	return v, ok
}

func (w *world) clock() time.Time { return w.now }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// initOptions are those of a standard workspace: root 1 of 2, the others one key each.
func (w *world) initOptions() InitOptions {
	return InitOptions{
		Repository: "registry.example/trust/tuf", Profile: ProfileStandard, Now: w.clock, Env: w.env,
		Keys: map[string][]string{
			"root": {w.uri("root-a"), w.uri("root-b")}, "targets": {w.uri("rel")},
			"snapshot": {w.uri("online")}, "timestamp": {w.uri("online")},
		},
		Thresholds: map[string]int{"root": 1},
	}
}

// devOptions are those of profile dev with a key that needs no passphrase.
func (w *world) devOptions() InitOptions {
	o := w.initOptions()
	o.Profile = ProfileDev
	for _, role := range topLevelRoles {
		o.Keys[role] = []string{w.uri("dev")}
	}
	return o
}

func (w *world) init(o InitOptions) *Workspace {
	w.t.Helper()
	ws, err := Init(w.dir, o)
	w.must(err)
	w.t.Cleanup(func() { _ = ws.Close() })
	return ws
}

// open opens the workspace again, as the next command does.
func (w *world) open() *Workspace {
	w.t.Helper()
	ws, err := Open(w.dir, OpenOptions{Now: w.clock, Env: w.env})
	w.must(err)
	w.t.Cleanup(func() { _ = ws.Close() })
	return ws
}

// addKey gives the workspace a key by name.
func (w *world) addKey(ws *Workspace, name string) {
	w.t.Helper()
	_, err := ws.AddKeyURI(name, w.uri(name), "")
	w.must(err)
}

// standard is a standard workspace that has published once.
func standard(t *testing.T) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	ws := w.init(w.initOptions())
	w.sign(ws)
	w.publish(ws)
	return w, ws
}

// dev is a workspace of profile dev that has published once.
func dev(t *testing.T) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	ws := w.init(w.devOptions())
	w.publish(ws)
	return w, ws
}

func (w *world) sign(ws *Workspace, roles ...string) {
	w.t.Helper()
	_, err := ws.Sign(context.Background(), roles, nil)
	w.must(err)
}

// head is the channel as a publisher hands it over: target files without bytes.
func (w *world) head() *Head {
	if w.channel == nil {
		return nil
	}
	h := &Head{Digest: fmt.Sprintf("sha256:%064x", w.digest)}
	for _, name := range slices.Sorted(maps.Keys(w.channel)) {
		f := w.channel[name]
		if strings.HasPrefix(name, targetsPrefix) {
			f.Data = nil
		}
		h.Files = append(h.Files, f)
	}
	return h
}

func (w *world) assemble(ws *Workspace) (*Release, error) {
	return ws.Assemble(context.Background(), w.head(), AssembleOptions{Now: w.now})
}

// push makes a release the head, if a client that starts from nothing, and one that saw the head, take it.
func (w *world) push(r *Release) {
	w.t.Helper()
	next := map[string]File{}
	for _, f := range r.Files {
		if f.Data == nil {
			f.Data = w.channel[f.Name].Data
		}
		if f.Data == nil || checksum(f.Data) != f.SHA256 || int64(len(f.Data)) != f.Length {
			w.t.Fatalf("%s: bytes are missing or wrong", f.Name)
		}
		next[f.Name] = f
	}
	c := w.client(r.Root1)
	if w.channel != nil {
		w.must(c.refresh(w.channel, w.pushed))
	}
	w.must(c.refresh(next, w.now))
	w.must(w.client(r.Root1).refresh(next, w.now))
	w.channel, w.pushed = next, w.now
	w.digest++
}

// publish is a whole publish: assembled, verified, pushed, recorded.
func (w *world) publish(ws *Workspace) *Release {
	w.t.Helper()
	r, err := w.assemble(ws)
	w.must(err)
	if !r.Unchanged {
		w.push(r)
	}
	w.must(ws.Published(r, w.head().Digest, "tuf", w.now))
	return r
}

// client is a go-tuf client with a cache of its own.
type client struct {
	dir  string
	root []byte
	up   *updater.Updater
}

func (w *world) client(root []byte) *client {
	return &client{dir: w.t.TempDir(), root: root}
}

// initialise one at a time: go-tuf keeps a global logger.
var updaterMu sync.Mutex

// refresh reads a channel at a time.
func (c *client) refresh(channel map[string]File, at time.Time) error {
	updaterMu.Lock()
	defer updaterMu.Unlock()
	cfg, err := config.New("https://repository.invalid/metadata", c.root)
	if err != nil {
		return err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.dir, c.dir
	cfg.RemoteTargetsURL = "https://repository.invalid/targets"
	cfg.Fetcher = channelFetcher(channel)
	cfg.UnsafeLocalMode = false
	if c.up, err = updater.New(cfg); err != nil {
		return err
	}
	c.up.UnsafeSetRefTime(at)
	return c.up.Refresh()
}

// get looks a target up and downloads it, if it is a file.
func (c *client) get(path string) (*tuf.TargetFiles, []byte, error) {
	info, err := c.up.GetTargetInfo(path)
	if err != nil || strings.HasPrefix(path, imagesPrefix) {
		return info, nil, err
	}
	_, data, err := c.up.DownloadTarget(info, filepath.Join(c.dir, "target"), "")
	return info, data, err
}

type channelFetcher map[string]File

func (f channelFetcher) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	file, ok := f[strings.TrimPrefix(url, "https://repository.invalid/")]
	if !ok {
		return nil, &tuf.ErrDownloadHTTP{StatusCode: 404, URL: url}
	}
	if file.Length > maxLength {
		return nil, &tuf.ErrDownloadLengthMismatch{Msg: url}
	}
	return file.Data, nil
}

// find is a client of the channel that has refreshed.
func (w *world) find(ws *Workspace) *client {
	w.t.Helper()
	root, err := ws.Root1()
	w.must(err)
	c := w.client(root)
	w.must(c.refresh(w.channel, w.now))
	return c
}

// files lists the files below .tufoci with their bytes.
func (w *world) files() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	root := filepath.Join(w.dir, stateDir)
	w.must(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		out[rel] = string(data)
		return err
	}))
	return out
}

// clone is another publisher with a copy of the workspace.
func (w *world) clone() *world {
	w.t.Helper()
	other := *w
	other.dir = filepath.Join(w.t.TempDir(), "ws")
	other.keys = maps.Clone(w.keys)
	w.must(os.CopyFS(other.dir, os.DirFS(w.dir)))
	return &other
}

// entryLine is a line of a list of entries.
func entryLine(name string, length int) string {
	return fmt.Sprintf(`{"path":"images/%s","length":%d,"hashes":{"sha256":"%s"}}`+"\n", name, length, checksum([]byte(name)))
}

func wantErr(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}
