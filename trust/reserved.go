package trust

import (
	"strings"

	"github.com/tufoci/tufoci/material"
)

const (
	imagePrefix       = "images/"
	revocationsPrefix = "revocations/"
	// revocationsRole may list names under revocations/, if targets delegates
	// exactly revocationsPath to it.
	revocationsRole = "revocations"
	revocationsPath = "revocations/*"
)

// Reserved reports whether a target name is read from the own list of the
// top-level role targets only: notation/…, tufoci/…, revocations.json and
// revocations/…. A delegated role or a hash bin that lists one is ignored, with
// a warning that names the role; otherwise it could install a certificate
// authority or a trust policy.
//
// One exception, which can only deny: a role called "revocations" to which
// targets delegates exactly the path "revocations/*" may list revocations/….
func Reserved(name string) bool {
	return material.Reserved(name) || strings.HasPrefix(name, "tufoci/")
}

// isImage reports whether a target stands for an image in a registry.
func isImage(name string) bool { return strings.HasPrefix(name, imagePrefix) }
