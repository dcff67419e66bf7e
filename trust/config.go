package trust

import "time"

// Config is the file trust.yaml with the named trusts, and beside it roots/ with
// the pinned root files by sha256. Each change reads the file again under a lock
// and replaces it whole.
type Config struct {
	dir string
}

// Entry is one named trust.
type Entry struct {
	// Name is made of a-z, 0-9 and "-".
	Name string
	// Source is the trust repository, in the form fetcher.ParseSource reads.
	Source string
	// RootSHA256 is the hex sha256 of the pinned root file.
	RootSHA256 string
	// TargetsURL, MaxStale, MinTimestamp: see Options.
	TargetsURL   string
	MaxStale     time.Duration
	MinTimestamp int64
}

// OpenConfig reads the configuration in dir. A directory or file that does not
// exist is an empty configuration; it is made by the first Add.
func OpenConfig(dir string) (*Config, error) { panic("not implemented") }

// List returns all trusts by name.
func (c *Config) List() []Entry { panic("not implemented") }

// Get returns the trust of that name, or ErrNoTrust.
func (c *Config) Get(name string) (Entry, error) { panic("not implemented") }

// Add writes a trust. root is the pinned root file, nil to keep the root of a
// trust that exists. A trust that exists with the same root is updated, with
// another root refused as ErrExists.
func (c *Config) Add(e Entry, root []byte) error { panic("not implemented") }

// Remove removes a trust, and its root file if no other trust has it. State is
// kept. ErrNoTrust if there is none of that name.
func (c *Config) Remove(name string) error { panic("not implemented") }

// RootBytes returns the pinned root of a trust. ErrWrongRoot: the stored file
// does not have the checksum of the pin.
func (c *Config) RootBytes(e Entry) ([]byte, error) { panic("not implemented") }
