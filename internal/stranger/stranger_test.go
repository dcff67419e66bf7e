package stranger_test

import (
	"testing"

	"github.com/tufoci/tufoci/internal/stranger"
)

func TestStranger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, cut, escaped string }{
		{"", "", ""},
		{`a "b"`, `a "b"`, `a "b"`},
		{"1234567", "12345…", "1234567"},
		{"1234é", "1234…", "1234é"},
		{"a\x1b[1m", "a\x1b[1m", `a\x1b[1m`},
		{"a\n\u202eb", "a\n\u202e…", `a\n\u202eb`},
	} {
		if got := stranger.Cut(tt.text, 5); got != tt.cut {
			t.Errorf("%q is cut to %q, want %q", tt.text, got, tt.cut)
		}
		if got := stranger.Escape(tt.text); got != tt.escaped {
			t.Errorf("%q is escaped as %q, want %q", tt.text, got, tt.escaped)
		}
	}
}
