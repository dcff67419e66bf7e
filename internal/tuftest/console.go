package tuftest

import (
	"strings"
	"sync"
)

// Console is an output that can be read while it is written.
type Console struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

// String is what was written so far.
func (c *Console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
