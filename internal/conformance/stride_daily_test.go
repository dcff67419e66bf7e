//go:build !e2e

package main

import (
	"bytes"
	"testing"
	"time"
)

// One in so many scenarios is played, in this process. With the tag e2e it is all of
// them, one in processStride by processes.
const (
	directStride  = 8
	viaOCIStride  = 20
	processStride = 1
)

// starter is nil: commands run in this process.
func starter(*testing.T) func(time.Time, []string, *bytes.Buffer) int { return nil }
