package trust

import (
	"fmt"
	"slices"
)

// entryImagesYAML is what trust.yaml says of the images of a trust.
type entryImagesYAML struct {
	Scopes   []string `yaml:"scopes,omitempty"`
	Maps     []string `yaml:"maps,omitempty"`
	Require  []string `yaml:"require,omitempty"`
	MinLevel string   `yaml:"minLevel,omitempty"`
	Also     bool     `yaml:"also,omitempty"`
}

func newEntryImages(e Entry) entryImagesYAML {
	y := entryImagesYAML{Require: e.Require, MinLevel: e.MinLevel, Also: e.Also}
	for _, s := range e.Scopes {
		y.Scopes = append(y.Scopes, s.String())
	}
	for _, m := range e.Maps {
		y.Maps = append(y.Maps, m.String())
	}
	return y
}

// into parses it into an entry.
func (y entryImagesYAML) into(e *Entry) error {
	e.Require, e.MinLevel, e.Also = y.Require, y.MinLevel, y.Also
	for _, text := range y.Scopes {
		s, err := ParseScope(text)
		if err != nil {
			return err
		}
		e.Scopes = append(e.Scopes, s)
	}
	for _, text := range y.Maps {
		m, err := ParseMap(text)
		if err != nil {
			return err
		}
		e.Maps = append(e.Maps, m)
	}
	return nil
}

// checkImages says what is wrong with what an entry says of images. Maps are made
// by hand, too, so that they are read again.
func (e Entry) checkImages() error {
	for i, s := range e.Scopes {
		if s == (Scope{}) || slices.Contains(e.Scopes[:i], s) {
			return fmt.Errorf("%w: %q is empty or there twice", ErrInvalidScope, s)
		}
	}
	for i, m := range e.Maps {
		if read, err := ParseMap(m.String()); err != nil {
			return err
		} else if read != m {
			return fmt.Errorf("%w: %q, want %q", ErrInvalidScope, m, read)
		}
		if slices.ContainsFunc(e.Maps[:i], func(o Map) bool { return o.Mirror == m.Mirror }) {
			return fmt.Errorf("%w: two maps of %q", ErrInvalidScope, m.Mirror)
		}
	}
	for i, what := range e.Require {
		if what != RequireMapping && what != RequireSignature {
			return fmt.Errorf("%w: require %q, want %s or %s", ErrInvalidEntry, what, RequireMapping, RequireSignature)
		}
		if i > 0 && e.Require[i-1] >= what {
			return fmt.Errorf("%w: require is not sorted, each once", ErrInvalidEntry)
		}
	}
	if e.MinLevel != "" && !slices.Contains(levels, e.MinLevel) {
		return fmt.Errorf("%w: minLevel %q, want one of %q", ErrInvalidEntry, e.MinLevel, levels)
	}
	return nil
}

// levels of a Notation policy that can count, the strongest first.
var levels = []string{"strict", "permissive", "audit"}

// checkTaken refuses scopes that another trust has: two trusts decide together
// only if somebody has said so, of the one that comes or, for scopes that it had
// before, of the other. old is the entry as it is, or the zero value.
func (c *Config) checkTaken(e, old Entry) error {
	if e.Also {
		return nil
	}
	for _, other := range c.List() {
		if other.Name == e.Name {
			continue
		}
		for _, s := range e.Scopes {
			if slices.Contains(other.Scopes, s) && !(other.Also && slices.Contains(old.Scopes, s)) {
				return &VerificationError{Kind: ErrScopeTaken, Detail: fmt.Sprintf("%q is a scope of trust %q", s, other.Name)}
			}
		}
	}
	return nil
}
