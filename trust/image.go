package trust

// ImageTag is the target name of a tag of an image: images/REPOSITORY:TAG.
func ImageTag(repository, tag string) string { return imagePrefix + repository + ":" + tag }

// ImageDigest is the target name of a digest, "sha256:" and hex, of an image:
// images/REPOSITORY@DIGEST.
func ImageDigest(repository, digest string) string { return imagePrefix + repository + "@" + digest }

// ParseImageName is the inverse of ImageTag and ImageDigest; one of tag and digest
// is empty.
func ParseImageName(name string) (repository, tag, digest string, ok bool) { panic("not built") }
