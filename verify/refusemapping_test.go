package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

func mappingRefusals() map[string]refusal {
	return map[string]refusal{
		"moved tag": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.sign(w.push("evil", "1.0")); return "" },
			want:  verify.ErrDiffers,
			text: func(_ *world, image ocispec.Descriptor) string {
				return "signed " + image.Digest.String() + ", served sha256:"
			},
			check: func(t *testing.T, _ *world, r *verify.Result) {
				refused, _ := errors.AsType[*verify.Refusal](r.Err)
				if refused == nil || refused.Role != "targets" || refused.RoleVersion == 0 || refused.Name != "images/shop/api:1.0" || refused.Served != r.Digest.String() || refused.Trust != "acme" {
					t.Errorf("evidence: %+v", refused)
				}
			},
		},
		"unknown tag": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.sign(w.push("new", "2.0")); return ":2.0" },
			want:  verify.ErrUnmapped, text: text("images/shop/api:2.0: the trust is at timestamp v"),
		},
		"digest in no entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				return "@" + d.Digest.String()
			},
			want: verify.ErrUnmapped, text: text("images/shop/api@sha256:"),
		},
		"tag without its digest entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				w.entryOf(d, nil, ":2.0")
				return ":2.0@" + d.Digest.String()
			},
			want: verify.ErrUnmapped, text: text("images/shop/api@sha256:"),
		},
		"digest without its tag entry": {
			spoil: func(w *world, image ocispec.Descriptor) string { return ":2.0@" + image.Digest.String() },
			want:  verify.ErrUnmapped, text: text("images/shop/api:2.0"),
		},
		"tag and digest that disagree": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				w.mapped(d, "2.0")
				return ":2.0@" + image.Digest.String()
			},
			want: verify.ErrDiffers, text: text("images/shop/api:2.0"),
		},
		"length": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				image.Size++
				w.entryOf(image, nil, ":1.0")
				return ""
			},
			want: verify.ErrDiffers, text: text(" bytes, served "),
		},
		"media type": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				image.MediaType = ocispec.MediaTypeImageIndex
				w.entryOf(image, nil, ":1.0")
				return ""
			},
			want: verify.ErrDiffers, text: text("signed application/vnd.oci.image.index.v1+json, served application/vnd.oci.image.manifest.v1+json"),
		},
		"entry that differs where none is required": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireSignature}
				w.sign(w.push("evil", "1.0"))
				return ""
			},
			want: verify.ErrDiffers,
		},
		"entry of no form": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.repo.AddEntry("targets", "images/shop/api:1.0", image.Size, image.Digest.Encoded(), map[string]any{"tufoci": map[string]any{"index": "latest"}})
				return ""
			},
			want: trust.ErrMalformed, text: text("images/shop/api:1.0"),
		},
		"entry whose media type is no text": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.repo.AddEntry("targets", "images/shop/api:1.0", image.Size, image.Digest.Encoded(), map[string]any{"tufoci": map[string]any{"mediaType": 7}})
				return ""
			},
			want: trust.ErrMalformed, text: text("images/shop/api:1.0"),
		},
		"no image": {
			spoil: func(*world, ocispec.Descriptor) string { return ":3.0" },
			want:  verify.ErrImageNotFound, text: text("3.0"),
		},
		"no image and no fresh trust": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.repo.SetExpiry("timestamp", time.Now().Add(-time.Minute))
				return ":3.0"
			},
			want: verify.ErrImageNotFound,
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if err := r.Verdicts[0].Err; !errors.Is(err, trust.ErrExpired) {
					t.Errorf("the trust says %v", err)
				}
			},
		},
		"index whose entry is of another one": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				other := w.indexOf(platforms[0]) // which lists the image as well
				w.sign(other)
				w.entryOf(other, nil, "@"+index.Digest.String())
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				return "@" + platforms[0].Digest.String()
			},
			want: verify.ErrDiffers, text: text("images/shop/api@sha256:"),
		},
		"index whose entry has no form": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				w.sign(index)
				w.entryOf(index, map[string]any{"mediaType": 7}, "@"+index.Digest.String())
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				return "@" + platforms[0].Digest.String()
			},
			want: trust.ErrMalformed,
		},
		"index that is gone": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				gone := image
				gone.Digest = digest.FromString("gone")
				w.entryOf(gone, nil, "@"+gone.Digest.String())
				w.entryOf(image, map[string]any{"index": gone.Digest.String()}, ":1.0", "@"+image.Digest.String())
				return ""
			},
			want: ociremote.ErrNotFound, text: text("index sha256:"),
		},
		"index without an entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				w.sign(index)
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				return "@" + platforms[0].Digest.String()
			},
			want: verify.ErrUnmapped, text: text("the index that the image is a platform of has no entry"),
		},
		"index that does not list the image": {
			// Whoever can sign entries, and no images, borrows a signature.
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, _ := w.pushIndex("multi", "2.0")
				w.mapped(index, "2.0")
				w.sign(index)
				other := w.push("other", "3.0")
				w.entryOf(other, map[string]any{"index": index.Digest.String()}, ":3.0", "@"+other.Digest.String())
				return ":3.0"
			},
			want: verify.ErrDiffers, text: text("it does not list sha256:"),
		},
		"image in the place of an index": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				other := w.push("other", "3.0")
				w.entryOf(other, map[string]any{"index": image.Digest.String()}, ":3.0", "@"+other.Digest.String())
				return "@" + other.Digest.String()
			},
			want: verify.ErrDiffers, text: text("it does not list sha256:"),
		},
		"index of another length": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				w.sign(index)
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				index.Size++
				w.mapped(index, "2.0")
				return "@" + platforms[0].Digest.String()
			},
			want: verify.ErrDiffers, text: text(" bytes, served "),
		},
	}
}
