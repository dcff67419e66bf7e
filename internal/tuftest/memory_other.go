//go:build !linux

package tuftest

func inMemory() string { return "" }
