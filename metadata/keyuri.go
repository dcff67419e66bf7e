package metadata

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 64 << 10

// maxForeignName bounds the name that a key gets after its URI, in bytes.
const maxForeignName = 40

// keyURI says where a private key is: in a PEM file, in an environment variable that holds one, or where a KeyOpener
// finds it.
type keyURI struct {
	file     string // relative paths are relative to the workspace
	variable string
	foreign  string // the URI itself
}

// pluginNameRE is what NAME in NAME://... may be: it becomes part of the name of a program.
var pluginNameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// parseKeyURI reads file:PATH, env:VAR (or env://VAR), or a bare path; pkcs11:..., ssh-agent:... and NAME://... are for a
// KeyOpener. ErrInvalid.
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
	case "pkcs11", "ssh-agent":
		if rest != "" {
			return keyURI{foreign: s}, nil
		}
	default:
		rest, ok := strings.CutPrefix(rest, "//")
		if !ok || !pluginNameRE.MatchString(scheme) {
			return keyURI{}, fmt.Errorf("%w key URI %q: want file:PATH, env:VARIABLE, pkcs11:ATTRIBUTES, ssh-agent:SHA256:FINGERPRINT or NAME://RESOURCE", ErrInvalid, s)
		}
		if rest != "" {
			return keyURI{foreign: s}, nil
		}
	}
	return keyURI{}, fmt.Errorf("%w key URI %q: it names nothing", ErrInvalid, s)
}

// read returns the PEM of the private key, which is in a file or a variable.
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

// nameOfURI is the name of a key after where it is: root-a.pem is root-a, env:ROOT_KEY is root_key, the token's object
// or the last part of a service's URI otherwise.
func nameOfURI(uri string) string {
	u, err := parseKeyURI(uri)
	if err != nil || u.foreign == "" {
		name := uri[strings.LastIndexAny(uri, ":/")+1:]
		return strings.ToLower(strings.TrimSuffix(name, filepath.Ext(name)))
	}
	place, _, _ := strings.Cut(u.foreign, "?")
	name, fingerprint := strings.CutPrefix(place, "ssh-agent:SHA256:")
	if fingerprint {
		name = "ssh-" + name[:min(len(name), 8)]
	} else {
		name = place[strings.LastIndexAny(place, ":/")+1:]
	}
	for part := range strings.SplitSeq(name, ";") {
		if object, ok := strings.CutPrefix(part, "object="); ok {
			name = object
		}
	}
	if decoded, err := url.PathUnescape(name); err == nil {
		name = decoded
	}
	name = strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "._-")
	if name = name[:min(len(name), maxForeignName)]; name == "" {
		return "key"
	}
	return name
}
