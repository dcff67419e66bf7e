package trust

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
	"github.com/tufoci/tufoci/internal/strictyaml"
)

const (
	configFile    = "trust.yaml"
	configVersion = 1
	maxConfig     = 1 << 20 // bytes of trust.yaml
	configWait    = 10 * time.Second
)

var trustName = regexp.MustCompile(`^[a-z0-9-]+$`)

// Config is the file trust.yaml with the named trusts, and beside it roots/ with
// the pinned root files by sha256. Each change reads the file again under a lock
// and replaces it whole. A Config is not safe for concurrent use; any number of
// them, also of other processes, may use one directory.
type Config struct {
	dir     string
	entries map[string]Entry
	disk    durable.Disk
}

// Entry is one named trust.
type Entry struct {
	// Name is made of a-z, 0-9 and "-".
	Name string
	// Source is the trust repository, in the form fetcher.ParseSource reads; "" for a
	// trust without a home, which is read next to images alone.
	Source string
	// RootSHA256 is the hex sha256 of the pinned root file.
	RootSHA256 string
	// TargetsURL, MaxStale, MinTimestamp: see Options.
	TargetsURL   string
	MaxStale     time.Duration
	MinTimestamp int64
	// Scopes are the canonical repositories that the trust speaks for; none: it
	// speaks for no image. Maps lead from mirrors to canonical names.
	Scopes []Scope
	Maps   []Map
	// Require is what an image must have: RequireMapping, RequireSignature; empty
	// means both.
	Require []string
	// MinLevel is the weakest level of a Notation policy that counts: "strict"
	// (also when empty), "permissive" or "audit".
	MinLevel string
	// Also allows scopes that another trust has too: both must accept then.
	Also bool
	// Limits that differ from their defaults, see Options.
	Limits Limits
	// Fallback is FallbackNone if only the source may answer, and no copy next to an
	// image when it cannot be reached.
	Fallback string
}

// FallbackNone forbids copies next to images.
const FallbackNone = "none"

// What a trust can require of an image.
const (
	RequireMapping   = "mapping"   // a signed target that names its digest
	RequireSignature = "signature" // a Notation signature
)

// configYAML is trust.yaml.
type configYAML struct {
	Version int                  `yaml:"version"`
	Trusts  map[string]entryYAML `yaml:"trusts,omitempty"`
}

type entryYAML struct {
	Source          string            `yaml:"source,omitempty"`
	Root            string            `yaml:"root"` // "sha256:" and hex
	TargetsURL      string            `yaml:"targetsURL,omitempty"`
	MaxStale        span              `yaml:"maxStale,omitempty"`
	MinTimestamp    int64             `yaml:"minTimestamp,omitempty"`
	Fallback        string            `yaml:"fallback,omitempty"`
	Limits          map[string]string `yaml:"limits,omitempty"` // as Limits.Set reads them
	entryImagesYAML `yaml:",inline"`
}

// OpenConfig reads the configuration in dir. A directory or file that does not
// exist is an empty configuration; it is made by the first Add. ErrConfig: the
// file cannot be read or has a member that is not known; also ErrStateFormat: a later
// version of tufoci wrote it.
func OpenConfig(dir string) (*Config, error) {
	c := &Config{dir: dir, disk: durable.Disk{Pattern: tempPrefix}}
	return c, c.read()
}

func (c *Config) file(name ...string) string {
	return filepath.Join(append([]string{c.dir}, name...)...)
}

func (c *Config) read() error {
	data, err := ownfile.ReadLinked(c.file(configFile), maxConfig)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	entries, err := parseConfig(data)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrConfig, c.file(configFile), err)
	}
	c.entries = entries
	return nil
}

func parseConfig(data []byte) (map[string]Entry, error) {
	entries := map[string]Entry{}
	if data == nil {
		return entries, nil
	}
	// A later version may have members that this one does not know: that it is one
	// says more than the first of them.
	var head struct{ Version int }
	if err := yaml.Unmarshal(data, &head); err == nil && head.Version > configVersion {
		return nil, laterFormat(head.Version, configVersion)
	}
	var doc configYAML
	if err := strictyaml.Decode(data, &doc); err != nil {
		return nil, err
	}
	if doc.Version != configVersion {
		return nil, fmt.Errorf("version %d, want %d", doc.Version, configVersion)
	}
	for name, y := range doc.Trusts {
		e := Entry{
			Name: name, Source: y.Source, TargetsURL: y.TargetsURL,
			MaxStale: time.Duration(y.MaxStale), MinTimestamp: y.MinTimestamp, Fallback: y.Fallback,
		}
		sum, ok := checksum(y.Root)
		if !ok {
			return nil, fmt.Errorf("trust %q: root: want sha256: and 64 hex digits", name)
		}
		e.RootSHA256 = sum
		for _, limit := range sortedKeys(y.Limits) {
			if err := e.Limits.Set(limit, y.Limits[limit]); err != nil {
				return nil, fmt.Errorf("trust %q: %w", name, err)
			}
		}
		if err := y.entryImagesYAML.into(&e); err != nil {
			return nil, fmt.Errorf("trust %q: %w", name, err)
		}
		if err := e.check(); err != nil {
			return nil, err
		}
		entries[name] = e
	}
	return entries, nil
}

// checksum reads a sha256 in hex, with or without its prefix.
func checksum(s string) (string, bool) {
	s = trimSHA256(s)
	return s, isHexSum(s)
}

// check says what is wrong with an entry that has a root.
func (e Entry) check() error {
	if !trustName.MatchString(e.Name) {
		return fmt.Errorf("%w: %q, want a-z, 0-9 and -", ErrInvalidName, e.Name)
	}
	if err := e.checkSources(); err != nil {
		return fmt.Errorf("trust %q: %w", e.Name, err)
	}
	if e.MaxStale < 0 || e.MinTimestamp < 0 {
		return fmt.Errorf("trust %q: maxStale and minTimestamp cannot be negative", e.Name)
	}
	if _, err := e.Limits.Filled(); err != nil {
		return fmt.Errorf("trust %q: %w: %v", e.Name, ErrInvalidEntry, err)
	}
	if err := e.checkImages(); err != nil {
		return fmt.Errorf("trust %q: %w", e.Name, err)
	}
	return nil
}

// checkSources says what is wrong with where a trust is read.
func (e Entry) checkSources() error {
	switch {
	case e.Fallback != "" && e.Fallback != FallbackNone:
		return fmt.Errorf("%w: fallback %q, want %s or nothing", ErrInvalidEntry, e.Fallback, FallbackNone)
	case e.Source != "":
		_, err := e.HomeSource()
		return err
	case e.Fallback == FallbackNone:
		return fmt.Errorf("%w: without a source there is nothing but copies next to images, and fallback %s forbids them", ErrInvalidEntry, FallbackNone)
	case e.TargetsURL != "":
		return fmt.Errorf("%w: targetsURL goes with a source", ErrInvalidEntry)
	default:
		return nil
	}
}

// HomeSource returns the source of the trust; the zero value if it has no home.
func (e Entry) HomeSource() (Source, error) {
	if e.Source == "" {
		return Source{}, nil
	}
	return fetcher.ParseSource(e.Source)
}

// List returns all trusts by name.
func (c *Config) List() []Entry {
	entries := make([]Entry, 0, len(c.entries))
	for _, e := range c.entries {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries
}

// Get returns the trust of that name, or ErrNoTrust.
func (c *Config) Get(name string) (Entry, error) {
	e, ok := c.entries[name]
	if !ok {
		return Entry{}, fmt.Errorf("%w: %q", ErrNoTrust, name)
	}
	return e, nil
}

// Add writes a trust. root is the pinned root file, nil to keep the root of a
// trust that exists; it has to verify as New asks. A RootSHA256 that is set has to
// be that of root. A trust that exists with the same root is updated, with another
// root refused as ErrExists: whoever wants that removes it first, knowingly.
// ErrScopeTaken: another trust has one of its scopes, and the entry does not say
// Also.
func (c *Config) Add(e Entry, root []byte) error {
	if root != nil {
		// What would not be read back is not pinned.
		if size, most := int64(len(root)), largestRoot(); size > most {
			return fmt.Errorf("root: %w", &fetcher.LimitError{Title: "the pinned root", Size: size, Max: most, Unit: "bytes"})
		}
		if _, err := parsePin(root); err != nil {
			return fmt.Errorf("root: %w", err)
		}
		sum := hexSum(root)
		if e.RootSHA256 != "" && trimSHA256(e.RootSHA256) != sum {
			return &VerificationError{
				Kind: ErrWrongRoot, Role: "root",
				Detail: fmt.Sprintf("the file has sha256 %s, not %s", sum, trimSHA256(e.RootSHA256)),
			}
		}
		e.RootSHA256 = sum
	}
	e.RootSHA256 = trimSHA256(e.RootSHA256)
	if err := e.check(); err != nil {
		return err
	}
	return c.change(func() error {
		old, exists := c.entries[e.Name]
		switch {
		case exists && e.RootSHA256 == "":
			e.RootSHA256 = old.RootSHA256
		case exists && e.RootSHA256 != old.RootSHA256:
			return &VerificationError{
				Kind: ErrExists, Digests: [2]string{old.RootSHA256, e.RootSHA256},
				Detail: fmt.Sprintf("%q", e.Name),
			}
		case !exists && root == nil:
			return fmt.Errorf("trust %q: %w: a new trust needs its root", e.Name, ErrWrongRoot)
		}
		if err := c.checkTaken(e, old); err != nil {
			return err
		}
		if root != nil {
			if err := c.disk.Write(c.file("roots", e.RootSHA256+".json"), root, 0o600); err != nil {
				return err
			}
		}
		c.entries[e.Name] = e
		return nil
	}, nil)
}

// Remove removes a trust, and its root file if no other trust has it. State is
// kept. ErrNoTrust if there is none of that name.
func (c *Config) Remove(name string) error {
	var removed Entry
	return c.change(func() (err error) {
		if removed, err = c.Get(name); err == nil {
			delete(c.entries, name)
		}
		return err
	}, func() error {
		for _, e := range c.entries {
			if e.RootSHA256 == removed.RootSHA256 {
				return nil
			}
		}
		return c.disk.Remove(c.file("roots", removed.RootSHA256+".json"))
	})
}

// change reads the file again, edits and writes it, all under the lock. after runs
// once the file is written. On error the file stays as it was.
func (c *Config) change(edit, after func() error) error {
	if err := c.disk.Make(c.file("roots")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), configWait)
	defer cancel()
	lock := ownfile.Lock(c.file(lockName))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("%s is locked: %w", c.file(configFile), err)
	}
	defer lock.Unlock()
	removeTemporary(c.dir)
	removeTemporary(c.file("roots"))
	if err := c.read(); err != nil {
		return err
	}
	before := c.entries
	c.entries = maps.Clone(before)
	err := edit()
	if err == nil {
		err = c.write()
	}
	if err != nil {
		c.entries = before
		return err
	}
	if after == nil {
		return nil
	}
	return after()
}

func (c *Config) write() error {
	doc := configYAML{Version: configVersion, Trusts: map[string]entryYAML{}}
	for name, e := range c.entries {
		doc.Trusts[name] = entryYAML{
			Source: e.Source, Root: "sha256:" + e.RootSHA256, TargetsURL: e.TargetsURL,
			MaxStale: span(e.MaxStale), MinTimestamp: e.MinTimestamp, Fallback: e.Fallback, Limits: e.Limits.Changed(),
			entryImagesYAML: newEntryImages(e),
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(doc); err != nil {
		return err
	}
	return c.disk.Write(c.file(configFile), out.Bytes(), 0o600)
}

// largestRoot is how many bytes a pinned root may have: whoever pins a file decides its
// size, and a limit that is lowered locks nobody out.
func largestRoot() int64 {
	largest, _ := fetcher.LimitNamed("root")
	return largest.Ceiling
}

// RootBytes returns the pinned root of a trust. ErrWrongRoot: the stored file
// does not have the checksum of the pin, or is gone.
func (c *Config) RootBytes(e Entry) ([]byte, error) {
	data, err := ownfile.ReadLinked(c.file("roots", e.RootSHA256+".json"), largestRoot())
	if err != nil {
		return nil, err
	}
	if data == nil || hexSum(data) != e.RootSHA256 {
		return nil, &VerificationError{
			Kind: ErrWrongRoot, Role: "root",
			Detail: fmt.Sprintf("the stored root of trust %q does not have the pinned sha256 %s", e.Name, e.RootSHA256),
		}
	}
	return data, nil
}
