package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tufoci/tufoci/internal/ownfile"
	"github.com/tufoci/tufoci/internal/strictyaml"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	configVersion = 1
	maxConfig     = 1 << 20 // bytes of mirror.yaml
	maxMirrors    = 1000
	// maxConcurrency and maxHistory bound what one mirror may ask for.
	maxConcurrency = 64
	maxHistory     = 1000
)

// ErrConfig says that a mirror.yaml cannot be read.
var ErrConfig = errors.New("invalid mirror configuration")

var mirrorName = regexp.MustCompile(`^[a-z0-9-]+$`)

// Config is a mirror.yaml: the mirrors that a schedule keeps.
type Config struct {
	// File is its absolute path.
	File    string
	Mirrors []Scheduled
}

// Scheduled is one mirror of a Config.
type Scheduled struct {
	// Name is made of a-z, 0-9 and "-".
	Name string
	// From is a SOURCE or the name of a trust. Root is the file with the pinned root
	// of a source that no trust has; "" for none.
	From, Root string
	// To is the trust repository of the destination.
	To ociremote.Reference
	// Images are patterns, see [Select]; ImagesTo is REG[/PREFIX], "" for the place of
	// To.
	Images   []string
	ImagesTo string
	// Referrers, History, Concurrency: see [Options].
	Referrers   bool
	History     int
	Concurrency int
	// Require is added to what the trust requires of images.
	Require []string
}

// configYAML is mirror.yaml.
type configYAML struct {
	Version int             `yaml:"version"`
	Mirrors []scheduledYAML `yaml:"mirrors"`
}

type scheduledYAML struct {
	Name        string   `yaml:"name"`
	From        string   `yaml:"from"`
	Root        string   `yaml:"root"`
	To          string   `yaml:"to"`
	Images      []string `yaml:"images"`
	ImagesTo    string   `yaml:"imagesTo"`
	Referrers   bool     `yaml:"referrers"`
	History     int      `yaml:"history"`
	Require     []string `yaml:"require"`
	Concurrency int      `yaml:"concurrency"`
}

// ReadConfig reads a mirror.yaml. A member that is not known, a value that is wrong,
// a name or destination that stands twice and a later version are ErrConfig, with the
// line. Paths in it are relative to the file.
func ReadConfig(file string) (*Config, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	data, err := ownfile.ReadLinked(file, maxConfig)
	if err == nil && data == nil {
		err = &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c, err := parseConfig(data, filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, file, err)
	}
	c.File = file
	return c, nil
}

func parseConfig(data []byte, dir string) (*Config, error) {
	var doc configYAML
	if err := strictyaml.Decode(data, &doc); err != nil {
		return nil, err
	}
	if doc.Version != configVersion {
		return nil, fmt.Errorf("version %d, this version of tufoci reads %d", doc.Version, configVersion)
	}
	var top yaml.Node
	if err := yaml.Unmarshal(data, &top); err != nil {
		return nil, err
	}
	list := member(top.Content[0], "mirrors")
	if list == nil || len(doc.Mirrors) == 0 || len(doc.Mirrors) > maxMirrors {
		return nil, fmt.Errorf("mirrors: want 1 to %d", maxMirrors)
	}
	c := &Config{}
	for i, y := range doc.Mirrors {
		m, key, err := y.scheduled(dir)
		if err == nil {
			key, err = c.taken(m)
		}
		if err != nil {
			at := list.Content[i]
			if value := member(at, key); value != nil {
				at = value
			}
			return nil, fmt.Errorf("line %d: %s: %w", at.Line, key, err)
		}
		c.Mirrors = append(c.Mirrors, m)
	}
	return c, nil
}

// member is the value of a key of a mapping, nil if it has none.
func member(node *yaml.Node, key string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Kind == yaml.MappingNode && node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// taken refuses what another mirror has: a name, or a place that two would fight for.
func (c *Config) taken(m Scheduled) (key string, err error) {
	for _, other := range c.Mirrors {
		switch {
		case other.Name == m.Name:
			return "name", fmt.Errorf("%q is there twice", m.Name)
		case other.To == m.To:
			return "to", fmt.Errorf("%s is that of %s, too", m.To, other.Name)
		}
	}
	return "", nil
}

// scheduled checks one mirror. key is what is wrong.
func (y scheduledYAML) scheduled(dir string) (m Scheduled, key string, err error) {
	m = Scheduled{
		Name: y.Name, From: y.From, Root: y.Root, Images: y.Images, ImagesTo: y.ImagesTo, Referrers: y.Referrers,
		History: y.History, Require: y.Require, Concurrency: y.Concurrency,
	}
	if m.Root != "" && !filepath.IsAbs(m.Root) {
		m.Root = filepath.Join(dir, m.Root)
	}
	for _, check := range []struct {
		key string
		do  func() error
	}{
		{"name", func() error { return m.checkName() }},
		{"from", func() error { return m.checkFrom() }},
		{"to", func() (err error) { m.To, err = parseTo(y.To); return err }},
		{"images", func() error { return m.checkImages() }},
		{"imagesTo", func() error { return m.checkImagesTo() }},
		{"history", func() error { return between(m.History, 0, maxHistory) }},
		{"concurrency", func() error { return between(m.Concurrency, 0, maxConcurrency) }},
		{"require", func() error { return m.checkRequire() }},
	} {
		if err := check.do(); err != nil {
			return m, check.key, err
		}
	}
	return m, "", nil
}

func (m *Scheduled) checkName() error {
	if !mirrorName.MatchString(m.Name) {
		return fmt.Errorf("%q, want a-z, 0-9 and -", m.Name)
	}
	return nil
}

func (m *Scheduled) checkFrom() error {
	switch {
	case m.From == "":
		return errors.New("missing")
	case !trust.IsSource(m.From) && m.Root != "":
		return fmt.Errorf("%q is the name of a trust, which has its root", m.From)
	case trust.IsSource(m.From):
		_, err := trust.ParseSource(m.From)
		return err
	}
	return nil
}

// parseTo reads a destination: archives are made by hand, with a receipt.
func parseTo(s string) (ociremote.Reference, error) {
	ref, err := ociremote.ParseReference(s)
	switch {
	case err != nil:
		return ref, err
	case ref.Digest != "":
		return ref, errors.New("a copy goes to a tag, not to a digest")
	case ref.Kind == ociremote.KindArchive:
		return ref, errors.New("an archive is made by mirror save")
	}
	return ref, nil
}

func (m *Scheduled) checkImages() error {
	if slices.Contains(m.Images, "") {
		return errors.New("an empty pattern")
	}
	for _, pattern := range m.Images {
		if _, err := parsePattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

func (m *Scheduled) checkImagesTo() error {
	if m.ImagesTo == "" {
		return nil
	}
	if m.To.Kind != ociremote.KindRegistry {
		return errors.New("images of a layout go into it")
	}
	if strings.Contains(m.ImagesTo, "/") {
		_, _, err := ociremote.ParseImageName(m.ImagesTo)
		return err
	}
	_, err := ociremote.ParseImageHost(m.ImagesTo)
	return err
}

func (m *Scheduled) checkRequire() error {
	for _, what := range m.Require {
		if !slices.Contains([]string{trust.RequireMapping, trust.RequireSignature}, what) {
			return fmt.Errorf("%q, want %s or %s", what, trust.RequireMapping, trust.RequireSignature)
		}
	}
	return nil
}

func between(n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%d, want %d to %d", n, least, most)
	}
	return nil
}
