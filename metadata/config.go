package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/internal/strictyaml"
)

const (
	// maxConfig bounds tufoci.yaml, in bytes.
	maxConfig = 1 << 20
	// maxBeside bounds its list of copies.
	maxBeside = 1000
)

// Config is tufoci.yaml: what a publisher decides and keeps in git. It holds no secrets. Keys and thresholds in force
// are those of the metadata.
type Config struct {
	Repository string   // HOST/REPOSITORY of the trust repository, without tag
	Channel    string   // its tag; "" is "tuf"
	Images     string   // canonical host of the images
	Layout     string   // variant of the bundle; "" is "default"
	Beside     []string // repositories of images in which copies are kept: SHOP/API, SHOP/*, or HOST/REPOSITORY
	Profile    string   // dev, standard or strict
	NoSpareKey bool     // root may have no more keys than its threshold
	Roles      map[string]Periods
	Keys       map[string]KeyConfig

	source []byte // the file as read, for its comments
}

// KeyConfig is one key of tufoci.yaml.
type KeyConfig struct {
	URI    string // where the private key is; "" when it is held elsewhere
	Public string // PEM
	Owner  string // who holds it, for people
}

// The file form of Config.
type configYAML struct {
	Repository string                 `yaml:"repository"`
	Channel    string                 `yaml:"channel,omitempty"`
	Images     string                 `yaml:"images,omitempty"`
	Layout     string                 `yaml:"layout,omitempty"`
	Beside     []string               `yaml:"beside,omitempty"`
	Profile    string                 `yaml:"profile"`
	NoSpareKey bool                   `yaml:"noSpareKey,omitempty"`
	Roles      map[string]periodsYAML `yaml:"roles,omitempty"`
	Keys       map[string]keyYAML     `yaml:"keys,omitempty"`
}

type periodsYAML struct {
	Expires     string `yaml:"expires,omitempty"`
	RenewWithin string `yaml:"renewWithin,omitempty"`
}

type keyYAML struct {
	URI    string `yaml:"uri,omitempty"`
	Public string `yaml:"public"`
	Owner  string `yaml:"owner,omitempty"`
}

var (
	channelRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	besideRE  = regexp.MustCompile(`^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9._*-]+(/[a-z0-9._*-]+)*$`)
	layouts   = []string{"", "default", "nodata", "gitlab"}
)

// notInName reports characters that no reference to a repository has.
func notInName(r rune) bool { return r <= ' ' || r == '@' || r == 0x7f }

var keyNameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// LoadConfig reads tufoci.yaml in dir. ErrNoWorkspace, *ConfigError.
func LoadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, configFile)
	data, err := readBounded(path, maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", ErrNoWorkspace, path)
	}
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(data)
	if err != nil {
		return nil, &ConfigError{File: path, Err: err}
	}
	return c, nil
}

// ParseConfig reads the content of tufoci.yaml. A field that it does not know is refused. ErrInvalid.
func ParseConfig(data []byte) (*Config, error) {
	var y configYAML
	if err := strictyaml.Decode(data, &y); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c := &Config{
		Repository: y.Repository, Channel: y.Channel, Images: y.Images, Layout: y.Layout, Beside: y.Beside, Profile: y.Profile,
		NoSpareKey: y.NoSpareKey, Roles: map[string]Periods{}, Keys: map[string]KeyConfig{}, source: data,
	}
	for role, p := range y.Roles {
		var periods Periods
		for _, f := range []struct {
			text string
			to   *time.Duration
		}{{p.Expires, &periods.Expires}, {p.RenewWithin, &periods.RenewWithin}} {
			if f.text == "" {
				continue
			}
			d, err := period.Parse(f.text)
			if err != nil {
				return nil, fmt.Errorf("%w: role %q: %w", ErrInvalid, role, err)
			}
			*f.to = d
		}
		c.Roles[role] = periods
	}
	for name, k := range y.Keys {
		c.Keys[name] = KeyConfig(k)
	}
	return c, c.validate()
}

// validate holds both a file that was read and an edit to the same rules.
func (c *Config) validate() error {
	if host, _, ok := strings.Cut(c.Repository, "/"); !ok || host == "" || strings.ContainsFunc(c.Repository, notInName) {
		return fmt.Errorf("%w: repository %q: want HOST/REPOSITORY, without tag", ErrInvalid, c.Repository)
	}
	if c.Channel != "" && !channelRE.MatchString(c.Channel) {
		return fmt.Errorf("%w: channel %q: want a-z, 0-9, '_' and '-', at most 64 characters", ErrInvalid, c.Channel)
	}
	if strings.ContainsFunc(c.Images, notInName) || strings.Contains(c.Images, "/") {
		return fmt.Errorf("%w: images %q: want HOST or HOST:PORT", ErrInvalid, c.Images)
	}
	if !slices.Contains(layouts, c.Layout) {
		return fmt.Errorf("%w: layout %q: want default, nodata or gitlab", ErrInvalid, c.Layout)
	}
	if err := checkBeside(c.Beside); err != nil {
		return err
	}
	if err := checkProfile(c.Profile); err != nil {
		return err
	}
	for role := range c.Roles {
		if err := c.checkPeriods(role); err != nil {
			return err
		}
	}
	return c.checkKeys()
}

// checkBeside holds the list of copies to the form of repositories and of patterns of them. A component that is "**"
// stands for one or more.
func checkBeside(patterns []string) error {
	if len(patterns) > maxBeside {
		return fmt.Errorf("%w: beside: more than %d entries", ErrInvalid, maxBeside)
	}
	for n, p := range patterns {
		switch {
		case !besideRE.MatchString(p) || strings.Contains(strings.ReplaceAll("/"+p+"/", "/**/", "/"), "**"):
			return fmt.Errorf("%w: beside %q: want HOST/REPOSITORY, or a pattern of repositories of images such as shop/*", ErrInvalid, p)
		case slices.Contains(patterns[:n], p):
			return fmt.Errorf("%w: beside %q: is there twice", ErrInvalid, p)
		}
	}
	return nil
}

func (c *Config) checkPeriods(role string) error {
	expires, renew := c.Periods(role)
	switch {
	case expires <= 0 || expires%time.Second != 0 || renew < 0 || renew%time.Second != 0:
		return fmt.Errorf("%w: role %q: periods are whole seconds above zero", ErrInvalid, role)
	case renew >= expires:
		return fmt.Errorf("%w: role %q: renewWithin %s must be shorter than expires %s",
			ErrInvalid, role, period.Format(renew), period.Format(expires))
	}
	return nil
}

// passphraseVariable is what the name of the variable with a key's passphrase has of the key's name.
func passphraseVariable(key string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(key)
}

func sharedVariable(key, other string) error {
	return fmt.Errorf("%w: keys %q and %q would share one passphrase variable", ErrInvalid, key, other)
}

// checkKeys refuses bad names, names of which passphrases could not be told apart, and keys that cannot be used.
func (c *Config) checkKeys() error {
	variables := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Keys)) {
		if err := checkKeyName(name); err != nil {
			return err
		}
		variable := passphraseVariable(name)
		if other, taken := variables[variable]; taken {
			return sharedVariable(other, name)
		}
		variables[variable] = name
		k := c.Keys[name]
		if _, err := ParsePublicKey([]byte(k.Public)); err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrInvalid, name, err)
		}
		if k.URI != "" {
			if _, err := parseKeyURI(k.URI); err != nil {
				return fmt.Errorf("key %q: %w", name, err)
			}
		}
	}
	return nil
}

func checkKeyName(name string) error {
	if !keyNameRE.MatchString(name) {
		return fmt.Errorf("%w key name %q: lower-case letters, digits, '.', '_' and '-', at most 64", ErrInvalid, name)
	}
	return nil
}

// Periods are those of a role: from the file, else from the profile. "bins" names all hash bins.
func (c *Config) Periods(role string) (expires, renewWithin time.Duration) {
	p, set := profilePeriods(c.Profile, role), c.Roles[role]
	if set.Expires != 0 {
		p.Expires = set.Expires
		// A shorter life keeps the proportion of the default, unless the file has its own.
		p.RenewWithin = min(p.RenewWithin, set.Expires/7*6).Truncate(time.Second)
	}
	if set.RenewWithin != 0 {
		p.RenewWithin = set.RenewWithin
	}
	return p.Expires, p.RenewWithin
}

// SetPeriods changes the periods of a role; zero leaves one as it is. ErrInvalid.
func (c *Config) SetPeriods(role string, expires, renewWithin time.Duration) error {
	if c.Roles == nil {
		c.Roles = map[string]Periods{}
	}
	p := c.Roles[role]
	if expires != 0 {
		p.Expires = expires
	}
	if renewWithin != 0 {
		p.RenewWithin = renewWithin
	}
	c.Roles[role] = p
	return c.checkPeriods(role)
}

// Clone is a copy that can be changed.
func (c *Config) Clone() *Config {
	next := *c
	next.Beside = slices.Clone(c.Beside)
	next.Roles, next.Keys = maps.Clone(c.Roles), maps.Clone(c.Keys)
	return &next
}

// Marshal writes the file. Comments of the file that was read stay with what they stand at. ErrInvalid.
func (c *Config) Marshal() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	y := configYAML{
		Repository: c.Repository, Channel: c.Channel, Images: c.Images, Layout: c.Layout, Beside: c.Beside, Profile: c.Profile,
		NoSpareKey: c.NoSpareKey, Roles: map[string]periodsYAML{}, Keys: map[string]keyYAML{},
	}
	for role, p := range c.Roles {
		y.Roles[role] = periodsYAML{Expires: periodText(p.Expires), RenewWithin: periodText(p.RenewWithin)}
	}
	for name, k := range c.Keys {
		y.Keys[name] = keyYAML(k)
	}
	var next yaml.Node
	if err := next.Encode(y); err != nil {
		return nil, fmt.Errorf("writing %s: %w", configFile, err)
	}
	doc := &next
	var old yaml.Node
	if err := yaml.Unmarshal(c.source, &old); err == nil && len(old.Content) == 1 {
		mergeYAML(old.Content[0], &next)
		doc = &old
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		return nil, fmt.Errorf("writing %s: %w", configFile, err)
	}
	// What people wrote in a YAML file can be more than merging knows: comments are worth less than the content.
	if again, err := ParseConfig(out.Bytes()); err != nil || !again.equal(c) {
		plain := *c
		if plain.source = nil; c.source == nil {
			return nil, fmt.Errorf("writing %s: it would not be read back: %w", configFile, err)
		}
		return plain.Marshal()
	}
	return out.Bytes(), nil
}

// equal reports whether two files say the same.
func (c *Config) equal(o *Config) bool {
	return c.Repository == o.Repository && c.Channel == o.Channel && c.Images == o.Images && c.Layout == o.Layout &&
		slices.Equal(c.Beside, o.Beside) && c.Profile == o.Profile && c.NoSpareKey == o.NoSpareKey &&
		maps.Equal(c.Roles, o.Roles) && maps.Equal(c.Keys, o.Keys)
}

func periodText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return period.Format(d)
}

// mergeYAML makes old say what next says, keeping its comments and its order.
func mergeYAML(old, next *yaml.Node) {
	if old.Kind != yaml.MappingNode || next.Kind != yaml.MappingNode {
		next.HeadComment, next.LineComment, next.FootComment = old.HeadComment, old.LineComment, old.FootComment
		if old.Kind == yaml.ScalarNode && next.Kind == yaml.ScalarNode && (old.Value == next.Value || samePeriod(old.Value, next.Value)) {
			next.Value, next.Style = old.Value, old.Style
		}
		*old = *next
		return
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(next.Content); i += 2 {
		values[next.Content[i].Value] = next.Content[i+1]
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(old.Content); i += 2 {
		key, value := old.Content[i], old.Content[i+1]
		if v, ok := values[key.Value]; ok {
			mergeYAML(value, v)
			merged = append(merged, key, value)
			delete(values, key.Value)
		}
	}
	for i := 0; i+1 < len(next.Content); i += 2 {
		if v, ok := values[next.Content[i].Value]; ok {
			merged = append(merged, next.Content[i], v)
		}
	}
	if len(old.Content) == 0 {
		old.Style = next.Style
	}
	old.Content = merged
}

// samePeriod reports whether two texts are one length of time: what people wrote as 1y stays.
func samePeriod(a, b string) bool {
	x, errX := period.Parse(a)
	y, errY := period.Parse(b)
	return errX == nil && errY == nil && x == y
}
