package metadata

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 64 << 10

// keyURI says where a private key is: a PEM file, or an environment variable that holds one.
type keyURI struct {
	file     string // relative paths are relative to the workspace
	variable string
}

// parseKeyURI reads file:PATH, env:VAR (or env://VAR), or a bare path. Other schemes are refused by name. ErrInvalid.
func parseKeyURI(s string) (keyURI, error) {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || strings.ContainsAny(scheme, `/\.`) {
		scheme, rest = "file", s
	}
	switch scheme {
	case "file":
		if rest = strings.TrimPrefix(rest, "//"); rest != "" {
			return keyURI{file: rest}, nil
		}
	case "env":
		if rest = strings.TrimPrefix(rest, "//"); rest != "" {
			return keyURI{variable: rest}, nil
		}
	default:
		return keyURI{}, fmt.Errorf("%w key URI %q: this version of tufoci knows file:PATH and env:VAR", ErrInvalid, s)
	}
	return keyURI{}, fmt.Errorf("%w key URI %q: it names nothing", ErrInvalid, s)
}

// read returns the PEM of the private key.
func (u keyURI) read(dir string, env func(string) (string, bool)) ([]byte, error) {
	if u.variable != "" {
		value, ok := env(u.variable)
		if !ok || value == "" {
			return nil, fmt.Errorf("environment variable %s: %w", u.variable, os.ErrNotExist)
		}
		return []byte(value), nil
	}
	path := u.file
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return readBounded(path, maxKeyFile)
}
