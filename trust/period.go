package trust

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tufoci/tufoci/internal/period"
)

// span is a length of time in trust.yaml.
type span time.Duration

// IsZero leaves out what is not set.
func (s span) IsZero() bool { return s == 0 }

// MarshalYAML implements yaml.Marshaler.
func (s span) MarshalYAML() (any, error) { return period.Format(time.Duration(s)), nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *span) UnmarshalYAML(node *yaml.Node) error {
	d, err := period.Parse(node.Value)
	*s = span(d)
	return err
}
