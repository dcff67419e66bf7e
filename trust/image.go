package trust

import (
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

// ImageTag is the target name of a tag of an image: images/REPOSITORY:TAG.
func ImageTag(repository, tag string) string { return imagePrefix + repository + ":" + tag }

// ImageDigest is the target name of a digest, "sha256:" and hex, of an image:
// images/REPOSITORY@DIGEST.
func ImageDigest(repository, digest string) string { return imagePrefix + repository + "@" + digest }

// ParseImageName is the inverse of ImageTag and ImageDigest; one of tag and digest
// is empty.
func ParseImageName(name string) (repository, tag, dgst string, ok bool) {
	rest, ok := strings.CutPrefix(name, imagePrefix)
	at := strings.IndexAny(rest, ":@")
	if !ok || at < 0 || !ociremote.IsRepository(rest[:at]) {
		return "", "", "", false
	}
	repository, value := rest[:at], rest[at+1:]
	if rest[at] == ':' {
		if !ociremote.IsTag(value) {
			return "", "", "", false
		}
		return repository, value, "", true
	}
	if !ociremote.IsDigest(value) {
		return "", "", "", false
	}
	return repository, "", value, true
}
