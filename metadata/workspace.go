package metadata

import (
	"time"
)

// Workspace is a publisher's directory: tufoci.yaml and .tufoci. It holds the lock of the directory until Close.
// It is not safe for concurrent use.
type Workspace struct {
	dir string
	cfg *Config
	now func() time.Time
}

// InitOptions says what Init writes.
type InitOptions struct {
	Repository string // required: REG/REPO, without tag
	Channel    string // default "tuf"
	Images     string // canonical host of the images; default: the host of Repository
	Layout     string // default, nodata, gitlab
	Profile    string // dev, standard (default) or strict

	Keys        map[string][]string      // role to names or URIs of keys
	Thresholds  map[string]int           // role to threshold
	Expires     map[string]time.Duration // role to period
	RenewWithin map[string]time.Duration // role to remaining life below which it is renewed
	NoSpareKey  bool                     // root may have no more keys than its threshold

	Now        func() time.Time                          // default time.Now
	Passphrase func(keyName string) ([]byte, error)      // for the key that profile dev makes, and for private keys read
	Env        func(name string) (value string, ok bool) // default os.LookupEnv; for env: keys
}

// OpenOptions are the surroundings of a workspace.
type OpenOptions struct {
	Now        func() time.Time                          // default time.Now
	Passphrase func(keyName string) ([]byte, error)      // asked when a private key is opened
	Env        func(name string) (value string, ok bool) // default os.LookupEnv; for env: keys
	ReadOnly   bool                                      // shared lock; every edit fails
}

// Init makes a new workspace in dir, which may exist but not hold a workspace.
func Init(dir string, o InitOptions) (*Workspace, error) { panic("not implemented") }

// Open opens the workspace in dir and takes its lock. ErrNoWorkspace, ErrLocked.
func Open(dir string, o OpenOptions) (*Workspace, error) { panic("not implemented") }

// Close releases the lock.
func (w *Workspace) Close() error { panic("not implemented") }

// Dir is the directory of the workspace.
func (w *Workspace) Dir() string { return w.dir }

// Config is tufoci.yaml as read. It is not to be changed; see UpdateConfig.
func (w *Workspace) Config() *Config { return w.cfg }

// UpdateConfig changes tufoci.yaml: edit gets a copy, which is validated and written if edit returns nil.
func (w *Workspace) UpdateConfig(edit func(*Config) error) error { panic("not implemented") }
