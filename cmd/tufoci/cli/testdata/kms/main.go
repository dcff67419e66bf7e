// Command kms is the key management service of package kmstest: a program of
// its own, since the test binary takes long to start.
package main

import "github.com/tufoci/tufoci/internal/kmstest"

func main() { kmstest.Main() }
