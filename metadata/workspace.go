package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// Files and directories of a workspace.
const (
	configFile = "tufoci.yaml"
	stateDir   = ".tufoci" // 0700
	baseDir    = "base"
	stagedDir  = "staged"
	blobsDir   = "targets"
	keysDir    = "keys"
	lockFile   = "lock"

	ceremonyDir = "ceremony"
)

// Workspace is a publisher's directory: tufoci.yaml and .tufoci. It holds the lock of the directory until Close.
// It is not safe for concurrent use.
type Workspace struct {
	dir        string
	cfg        *Config
	now        func() time.Time
	passphrase func(keyName string) ([]byte, error)
	env        func(name string) (string, bool)
	opener     KeyOpener
	readOnly   bool

	lock   *flock.Flock
	disk   *disk
	base   *base                // nil before the first publish
	staged map[string]*roleFile // next versions by role

	freezes []Freeze          // of staged roles
	held    map[string][]byte // bytes of target files by sha256 that are not written: see Rebase

	parsed parsedFiles
	opened map[string]Signer // private keys by URI

	seen        map[string]KeySeen // by key id; nil: not read yet
	seenChanged bool
}

// OpenOptions are the surroundings of a workspace.
type OpenOptions struct {
	Now        func() time.Time                          // default time.Now
	Passphrase func(keyName string) ([]byte, error)      // asked when a private key is opened
	Env        func(name string) (value string, ok bool) // default os.LookupEnv; for env: keys
	Opener     KeyOpener                                 // for keys that are neither in files nor in variables; nil: there are none
	ReadOnly   bool                                      // shared lock; every edit fails
}

// Open opens the workspace in dir and takes its lock. ErrNoWorkspace, ErrLocked, ErrDamaged.
func Open(dir string, o OpenOptions) (*Workspace, error) {
	w := newWorkspace(dir, o)
	if err := w.acquire(); err != nil {
		return nil, err
	}
	if err := w.load(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func newWorkspace(dir string, o OpenOptions) *Workspace {
	w := &Workspace{
		dir: dir, now: o.Now, passphrase: o.Passphrase, env: o.Env, opener: o.Opener, readOnly: o.ReadOnly,
		disk: newDisk(), opened: map[string]Signer{}, parsed: newParsedFiles(),
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.env == nil {
		w.env = os.LookupEnv
	}
	return w
}

// acquire takes the lock of an existing workspace.
func (w *Workspace) acquire() error {
	for _, name := range []string{configFile, stateDir} {
		if _, err := os.Stat(filepath.Join(w.dir, name)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %s is missing", ErrNoWorkspace, filepath.Join(w.dir, name))
			}
			return err
		}
	}
	w.lock = ownfile.Lock(w.path(lockFile))
	try := w.lock.TryLock
	if w.readOnly {
		try = w.lock.TryRLock
	}
	switch ok, err := try(); {
	case err != nil:
		return fmt.Errorf("locking the workspace: %w", err)
	case !ok:
		return fmt.Errorf("%w: %s", ErrLocked, w.dir)
	}
	return nil
}

// load reads the state, after removing what a killed process left.
func (w *Workspace) load() error {
	cfg, err := LoadConfig(w.dir)
	if err != nil {
		return err
	}
	w.cfg = cfg
	if !w.readOnly {
		for _, dir := range []string{w.dir, w.path(), w.path(baseDir), w.path(stagedDir), w.path(blobsDir), w.path(keysDir)} {
			if err := w.disk.sweep(dir); err != nil {
				return err
			}
		}
	}
	if w.base, err = loadBase(w.path(baseDir)); err != nil {
		return err
	}
	if w.staged, err = w.finishRebase(); err != nil {
		return err
	}
	if err := w.loadFreezes(); err != nil {
		return err
	}
	if w.base == nil && (w.staged[tuf.ROOT] == nil || w.staged[tuf.TARGETS] == nil) {
		return fmt.Errorf("%w: neither a published nor a staged root and targets", ErrDamaged)
	}
	return nil
}

// Close releases the lock.
func (w *Workspace) Close() error {
	if w.lock == nil {
		return nil
	}
	return w.lock.Close()
}

// Dir is the directory of the workspace.
func (w *Workspace) Dir() string { return w.dir }

// Config is tufoci.yaml as read. It is not to be changed; see UpdateConfig.
func (w *Workspace) Config() *Config { return w.cfg }

// UpdateConfig changes tufoci.yaml: edit gets a copy, which is validated and written if edit returns nil.
func (w *Workspace) UpdateConfig(edit func(*Config) error) error {
	next, data, err := w.editConfig(edit)
	if err != nil {
		return err
	}
	if err := w.disk.Write(w.configPath(), data, 0o644); err != nil {
		return err
	}
	w.cfg = next
	return nil
}

// editConfig makes the next tufoci.yaml, without writing it.
func (w *Workspace) editConfig(edit func(*Config) error) (*Config, []byte, error) {
	if err := w.writable(); err != nil {
		return nil, nil, err
	}
	next := w.cfg.Clone()
	if err := edit(next); err != nil {
		return nil, nil, err
	}
	data, err := next.Marshal()
	return next, data, err
}

func (w *Workspace) writable() error {
	if w.readOnly {
		return errors.New("the workspace was opened to be read only")
	}
	return nil
}

func (w *Workspace) configPath() string { return filepath.Join(w.dir, configFile) }

// path is a path below .tufoci.
func (w *Workspace) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir, stateDir}, elem...)...)
}

// online reports whether publish signs the role by itself.
func (w *Workspace) online(role string, isBin bool) bool {
	return isBin || role == tuf.SNAPSHOT || role == tuf.TIMESTAMP || w.cfg.Profile == ProfileDev
}

// life is how long versions of the role live; that of hash bins is written down once, for all of them.
func (w *Workspace) life(cfg *Config, role string) (life, error) {
	if !isTopLevel(role) {
		_, isBin, err := w.view().binParent(role)
		if err != nil {
			return life{}, err
		}
		if isBin {
			role = binsRole
		}
	}
	period, renew := cfg.Periods(role)
	return life{period, renew}, nil
}
