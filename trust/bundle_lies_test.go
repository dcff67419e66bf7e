package trust_test

import (
	"strings"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

var (
	heardHonest    = lied{}
	heardMalformed = lied{is: []error{ociremote.ErrMalformed}}
	heardTooLarge  = lied{is: []error{ociremote.ErrMalformed, ociremote.ErrTooLarge}}
	heardForeign   = lied{is: []error{ociremote.ErrForeign}}
	heardNewer     = lied{is: []error{ociremote.ErrNewerFormat}}
	heardLost      = lied{is: []error{fetcher.ErrLostBlob}}
	heardAbsent    = lied{is: []error{fetcher.ErrNoRepository}}
	// gone is a manifest that an index names and nobody has.
	heardGone = lied{is: []error{ociremote.ErrBlobNotFound}}
)

// bundleLies says what a client makes of each lie of the catalogue.
func bundleLies(kind tuftest.Kind) map[string]lied {
	expected := map[string]lied{}
	for _, group := range []struct {
		want  lied
		names string
	}{
		{heardHonest, `
			manifest-with-a-number-of-a-million-digits manifest-indented partial-bundle versions-in-annotations-that-lie
			annotations-of-two-mebibytes unknown-members layer-with-foreign-urls one-blob-under-1000-titles
			inline-layer-without-data inline-layer-lost titles-out-of-order title-that-turns-text-around inline-layer-of-no-files
			inline-layer-of-some-files inline-gzip-with-an-extra-field-of-60000-bytes
			archive-of-absolute-paths archive-of-paths-with-a-dot archive-with-an-entry-upwards archive-with-headers-of-a-kilobyte archive-with-headers-of-a-megabyte
			archive-with-data-after-it layout-one-manifest-twice-under-one-tag layout-entries-that-are-none layout-manifest-of-another-size`},
		{heardForeign, `
			index-where-a-manifest-is-due index-of-an-index docker-list-where-a-manifest-is-due index-served-as-a-manifest
			manifest-served-as-an-index image-where-a-bundle-is-due docker-image-where-a-bundle-is-due artifact-of-another-kind
			proposal-where-a-bundle-is-due odd-artifacttype-a-string odd-artifacttype-a-long-string odd-artifacttype-a-string-with-half-a-pair odd-artifacttype-a-string-with-a-zero`},
		{heardNewer, `format-of-a-later-version artifact-type-of-a-later-version`},
		{heardLost, `layer-with-a-digest-of-nothing-there missing-layer-with-foreign-urls blob-missing all-blobs-missing`},
		{heardGone, `
			manifest-missing archive-with-blobs-as-symlinks archive-with-blobs-as-hard-links archive-with-blobs-as-devices
			archive-with-blobs-as-directories archive-without-blobs`},
		{heardAbsent, `layout-index-gone layout-marker-gone layout-index-of-nothing layout-manifest-of-a-digest-that-is-a-path`},
		{heardTooLarge, `
			manifest-above-the-limit 100000-layers inline-gzip-bomb inline-tar-of-zeros
			archive-with-an-index-of-20-megabytes layout-marker-of-5-kilobytes layout-index-of-17-megabytes`},
		{lied{is: []error{fetcher.ErrLimit}}, `layer-of-size-a-terabyte`},
	} {
		for name := range strings.FieldsSeq(group.names) {
			expected[name] = group.want
		}
	}
	// Everything else breaks a rule of the form.
	for _, lie := range tuftest.Bundles() {
		if _, said := expected[lie.Name]; !said && lie.In(kind) {
			expected[lie.Name] = heardMalformed
		}
	}
	return expected
}

// TestLiesInBundles tells every lie that can be told in a bundle: a client without a
// state and one with it refuse it for the right reason, or get what was published;
// nothing else is stored, and the truth is found afterwards.
func TestLiesInBundles(t *testing.T) {
	t.Parallel()
	hearAll(t, tuftest.Bundles(), tuftest.BundleKinds, plainCourse, bundleLies)
}
