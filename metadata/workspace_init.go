package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// devKey is the name of the key that profile dev makes.
const devKey = "dev"

// InitOptions says what Init writes.
type InitOptions struct {
	Repository string // required: REG/REPO, without tag
	Channel    string // default "tuf"
	Images     string // canonical host of the images; default: the host of Repository
	Layout     string // default, nodata, gitlab
	Profile    string // dev, standard (default) or strict

	Keys        map[string][]string      // top-level role to URIs of private keys or files of public keys
	Thresholds  map[string]int           // top-level role to threshold; default of the profile
	Expires     map[string]time.Duration // role to period; default of the profile
	RenewWithin map[string]time.Duration // role to remaining life below which it is renewed; default of the profile
	NoSpareKey  bool                     // root may have no more keys than its threshold

	Entries []ImageEntry // of images, staged in targets; not for Adopt

	Now        func() time.Time                          // default time.Now
	Passphrase func(keyName string) ([]byte, error)      // for the key that profile dev makes, and for private keys read
	Env        func(name string) (value string, ok bool) // default os.LookupEnv; for env: keys
	Opener     KeyOpener                                 // for keys that are neither in files nor in variables; nil: there are none
}

// Init makes a new workspace in dir, which may exist but not hold a workspace: tufoci.yaml, and staged in .tufoci an
// unsigned root v1 and targets v1. Profile dev makes one key for every role, encrypted with its passphrase, and the
// first publish signs everything; with the others, keys are added and root and targets signed by hand.
//
// When it fails it removes what it made. ErrWorkspaceExists, ErrInvalid, ErrPassphrase, ErrKeyMissing, ErrLocked.
func Init(dir string, o InitOptions) (*Workspace, error) {
	w := newWorkspace(dir, OpenOptions{Now: o.Now, Passphrase: o.Passphrase, Env: o.Env, Opener: o.Opener})
	n := &initialisation{w: w, o: o}
	if err := n.run(); err != nil {
		return nil, errors.Join(err, w.Close(), n.undo())
	}
	return w, nil
}

// initialisation is one run of Init or Adopt.
type initialisation struct {
	w    *Workspace
	o    InitOptions
	made []string // files and directories, in the order of their making
}

// initialContent is what a new workspace starts with.
type initialContent struct {
	yaml    []byte // tufoci.yaml
	private []byte // the key that profile dev makes, nil for none
	base    *base  // what was adopted, nil for nothing
	blobs   []fileChange
	staged  []*roleFile
}

func (n *initialisation) run() error {
	c, err := n.prepare()
	if err != nil {
		return err
	}
	return n.write(c)
}

// prepare makes everything in memory.
func (n *initialisation) prepare() (c initialContent, err error) {
	for _, step := range []func() error{n.refuse, n.config, n.periods} {
		if err := step(); err != nil {
			return c, err
		}
	}
	if c.private, err = n.keys(); err != nil {
		return c, err
	}
	if c.yaml, err = n.w.cfg.Marshal(); err != nil {
		return c, err
	}
	root, err := n.root()
	if err != nil {
		return c, err
	}
	n.w.staged = map[string]*roleFile{}
	e := &edit{w: n.w, cfg: n.w.cfg}
	targets, err := n.targets()
	if err != nil {
		return c, err
	}
	if err := stage(e, tuf.TARGETS, targets); err != nil {
		return c, err
	}
	if err := stage(e, tuf.ROOT, root); err != nil {
		return c, err
	}
	c.staged = e.files
	return c, nil
}

// unfinished names a file that is there as long as an initialisation goes on, and after it was killed. In a workspace
// that is whole, as its tufoci.yaml says, opening it removes what is left of it.
const unfinished = tempPrefix + "init"

// refuse keeps Init away from a workspace. What a killed Init left has no tufoci.yaml, which is written last; it can
// have a base, which without that file would be what is left of somebody's workspace.
func (n *initialisation) refuse() error {
	own := []string{n.w.configPath()}
	switch _, err := os.Lstat(n.w.path(unfinished)); {
	case errors.Is(err, fs.ErrNotExist):
		own = append(own, n.w.path(baseDir, baseIndexFile))
	case err != nil:
		return err
	}
	for _, path := range own {
		_, err := os.Lstat(path)
		if err == nil {
			return fmt.Errorf("%w: %s", ErrWorkspaceExists, path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// config makes tufoci.yaml, yet without keys and periods.
func (n *initialisation) config() error {
	o := n.o
	c := &Config{
		Repository: o.Repository, Channel: o.Channel, Images: o.Images, Layout: o.Layout, Profile: o.Profile,
		NoSpareKey: o.NoSpareKey, Roles: map[string]Periods{}, Keys: map[string]KeyConfig{},
	}
	if c.Channel == "" {
		c.Channel = "tuf"
	}
	if c.Profile == "" {
		c.Profile = ProfileStandard
	}
	if c.Profile == ProfileDev {
		c.NoSpareKey = true
	}
	if host, _, _ := strings.Cut(c.Repository, "/"); c.Images == "" && !strings.HasPrefix(host, "oci-") {
		c.Images = host
	}
	n.w.cfg = c
	return c.validate()
}

// periods writes those of the options into tufoci.yaml.
func (n *initialisation) periods() error {
	o, c := n.o, n.w.cfg
	for _, role := range slices.Sorted(maps.Keys(o.Expires)) {
		if err := c.SetPeriods(role, o.Expires[role], o.RenewWithin[role]); err != nil {
			return err
		}
	}
	for _, role := range slices.Sorted(maps.Keys(o.RenewWithin)) {
		if err := c.SetPeriods(role, 0, o.RenewWithin[role]); err != nil {
			return err
		}
	}
	return nil
}

// keys adds the keys of the options to tufoci.yaml; profile dev adds its own for every role without. It returns the new
// private key in PEM, if there is one.
func (n *initialisation) keys() ([]byte, error) {
	for role, keys := range n.o.Keys {
		if !isTopLevel(role) {
			return nil, fmt.Errorf("%w: %q is not a top-level role", ErrInvalid, role)
		}
		for _, uri := range keys {
			if err := n.addKey(uri); err != nil {
				return nil, fmt.Errorf("key of %s: %w", role, err)
			}
		}
	}
	if n.w.cfg.Profile != ProfileDev || len(n.o.Keys) == len(topLevelRoles) {
		return nil, nil
	}
	private, err := GenerateKey(KeyEd25519)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(private)
	if err != nil {
		return nil, err
	}
	passphrase, err := n.w.keySource().askPassphrase(devKey)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", devKey, err)
	}
	data, err := EncodePrivateKey(private, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", devKey, err)
	}
	uri := "file:" + filepath.ToSlash(filepath.Join(stateDir, keysDir, devKey+".pem"))
	return data, n.record(devKey, uri, signer.Key())
}

// addKey adds one key by the URI of its private half or the file of its public one, named after the file.
func (n *initialisation) addKey(uri string) error {
	name, k, key, err := n.w.keyBehind(uri)
	if err != nil {
		return err
	}
	return n.record(name, k.URI, key)
}

func (n *initialisation) record(name, uri string, pub *tuf.Key) error {
	if other := n.w.keyName(pub); other != "" && other != name {
		return fmt.Errorf("%w: %q and %q would be one key", ErrKeyExists, other, name)
	}
	public, err := MarshalPublicKey(pub)
	if err != nil {
		return err
	}
	k := KeyConfig{URI: uri, Public: string(public)}
	if old, exists := n.w.cfg.Keys[name]; exists && old != k {
		return fmt.Errorf("%w: two keys would be named %q", ErrKeyExists, name)
	}
	n.w.cfg.Keys[name] = k
	return nil
}

var topLevelRoles = []string{tuf.ROOT, tuf.TARGETS, tuf.SNAPSHOT, tuf.TIMESTAMP}

// root is root v1.
func (n *initialisation) root() (*tuf.Metadata[tuf.RootType], error) {
	md := tuf.Root(time.Time{})
	for role := range n.o.Thresholds {
		if !isTopLevel(role) {
			return nil, fmt.Errorf("%w: %q is not a top-level role", ErrInvalid, role)
		}
	}
	for _, role := range topLevelRoles {
		names := []string{}
		for _, uri := range n.o.Keys[role] {
			names = append(names, nameOfURI(uri))
		}
		if len(names) == 0 && n.w.cfg.Profile == ProfileDev {
			names = []string{devKey}
		}
		h := keyHolder{name: role, keys: md.Signed.Keys, ids: &md.Signed.Roles[role].KeyIDs, threshold: &md.Signed.Roles[role].Threshold}
		threshold := n.o.Thresholds[role]
		switch {
		case threshold < 0:
			return nil, fmt.Errorf("%w: threshold %d of %s", ErrInvalid, threshold, role)
		case threshold == 0:
			threshold = profileThreshold(n.w.cfg.Profile, role)
		}
		if err := n.w.changeKeys(h, RoleEdit{AddKeys: names, Threshold: threshold}); err != nil {
			return nil, err
		}
	}
	return md, nil
}

// targets is targets v1, with the entries of images.
func (n *initialisation) targets() (*tuf.Metadata[tuf.TargetsType], error) {
	md := newTargets()
	names, err := imageNames(n.o.Entries)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if md.Signed.Targets[name.path], err = name.entry(tuf.TARGETS).target(); err != nil {
			return nil, err
		}
	}
	return md, nil
}

// write writes everything that was made in memory, tufoci.yaml last: it makes the directory a workspace.
func (n *initialisation) write(c initialContent) error {
	w := n.w
	if err := n.mkdir(w.dir, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{w.path(), w.path(baseDir), w.path(stagedDir), w.path(blobsDir), w.path(keysDir)} {
		if err := n.mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := n.lock(); err != nil {
		return err
	}
	if err := n.refuse(); err != nil { // another Init may have been faster
		return err
	}
	if err := n.file(w.path(unfinished), nil, 0o600); err != nil {
		return err
	}
	for _, dir := range []string{w.path(stagedDir), w.path(baseDir), w.path(blobsDir)} {
		if err := removeOthers(w.disk, dir, nil); err != nil {
			return err
		}
	}
	if err := n.fill(c); err != nil {
		return err
	}
	if err := n.file(w.configPath(), c.yaml, 0o644); err != nil {
		return err
	}
	return w.disk.Unlink(w.path(unfinished))
}

// fill writes the content of .tufoci.
func (n *initialisation) fill(c initialContent) error {
	w := n.w
	if c.private != nil {
		if err := n.file(w.path(keysDir, devKey+".pem"), c.private, 0o600); err != nil {
			return err
		}
	}
	for _, blob := range c.blobs {
		n.made = append(n.made, blob.path)
	}
	if err := w.disk.writeAll(w.path(blobsDir), c.blobs); err != nil {
		return err
	}
	if c.base != nil {
		for _, f := range c.base.all() {
			n.made = append(n.made, w.path(baseDir, fileName(f.role, f.version)))
		}
		n.made = append(n.made, w.path(baseDir, baseIndexFile))
		if err := saveBase(w.disk, w.path(baseDir), c.base); err != nil {
			return err
		}
	}
	for _, f := range c.staged {
		n.made = append(n.made, w.path(stagedDir, fileName(f.role, f.version)))
	}
	return w.saveStaged(c.staged)
}

func (n *initialisation) lock() error {
	n.made = append(n.made, n.w.path(lockFile))
	n.w.lock = ownfile.Lock(n.w.path(lockFile))
	switch ok, err := n.w.lock.TryLock(); {
	case err != nil:
		return fmt.Errorf("locking the workspace: %w", err)
	case !ok:
		n.made = nil // another Init is at work
		return fmt.Errorf("%w: %s", ErrLocked, n.w.dir)
	}
	return nil
}

func (n *initialisation) file(path string, data []byte, perm fs.FileMode) error {
	n.made = append(n.made, path)
	return n.w.disk.Write(path, data, perm)
}

func (n *initialisation) mkdir(path string, perm fs.FileMode) error {
	made, err := n.w.disk.Mkdir(path, perm)
	if made {
		n.made = append(n.made, path)
	}
	return err
}

// undo removes what was made, newest first.
func (n *initialisation) undo() error {
	var errs []error
	for _, path := range slices.Backward(n.made) {
		errs = append(errs, n.w.disk.Unlink(path))
	}
	return errors.Join(errs...)
}
