package ociremote

import "github.com/opencontainers/go-digest"

// LineageTag is the tag of a copy of a bundle in the repository of an image, where
// the channel itself holds a repository of other roots: "tuf." and the first 8 hex
// digits of the sha256 of root version 1 of the copy.
func LineageTag(channel string, root1 digest.Digest) string {
	return channel + "." + root1.Encoded()[:8]
}
