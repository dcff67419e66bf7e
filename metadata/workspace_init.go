package metadata

import "time"

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

// Init makes a new workspace in dir, which may exist but not hold a workspace.
func Init(dir string, o InitOptions) (*Workspace, error) { panic("not implemented") }
