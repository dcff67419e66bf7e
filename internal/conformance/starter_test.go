//go:build !e2e

package main

import (
	"bytes"
	"testing"
	"time"
)

// starter is nil: commands run in this process.
func starter(*testing.T) func(time.Time, []string, *bytes.Buffer) int { return nil }
