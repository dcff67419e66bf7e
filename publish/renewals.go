package publish

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// RenewalOptions say after what attachments are to be looked at.
type RenewalOptions struct {
	// Host is the canonical one, on which the images are.
	Host string
	// Changed are the roles that have changed; nil: it is not known, all of them may
	// have.
	Changed []string
	// Signed are the targets, images/…, that are new or have changed: their images get
	// an attachment, whether they had one or not.
	Signed []string
}

// Renewals are the images of a view whose attachments a change can concern: those
// whose lookup visits a role that has changed, or all, if that is one which every
// attachment holds. Manifests of platforms are left out: their index has one.
func Renewals(ctx context.Context, view *trust.View, o RenewalOptions) ([]Attachment, error) {
	targets, err := view.List(ctx)
	if err != nil {
		return nil, err
	}
	everywhere := o.Changed == nil || slices.ContainsFunc(o.Changed, func(role string) bool {
		return slices.Contains([]string{"root", "targets", "revocations"}, role)
	})
	var images []Attachment
	for _, t := range targets {
		repository, tag, byDigest, ok := trust.ParseImageName(t.Path)
		if !ok || isPlatform(t) {
			continue
		}
		renew := !slices.Contains(o.Signed, t.Path)
		if renew && !everywhere {
			visited, err := view.Visited(ctx, t.Path)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(visited, func(role string) bool { return slices.Contains(o.Changed, role) }) {
				continue
			}
		}
		d := digest.Digest(byDigest)
		if d == "" {
			d = digest.NewDigestFromEncoded(digest.SHA256, t.Hashes["sha256"])
		}
		images = append(images, Attachment{
			Image:      ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: o.Host, Repository: ociremote.OfficialName(o.Host, repository), Digest: d},
			Repository: repository, Tag: tag, Renew: renew,
		})
	}
	return withoutDoubles(images), nil
}

// withoutDoubles leaves out what stands for the digest of an image that stands for a
// tag too: that one is attached with its digest.
func withoutDoubles(images []Attachment) []Attachment {
	type place struct {
		repository string
		digest     digest.Digest
	}
	tagged, signed := map[place]bool{}, map[place]bool{}
	for _, i := range images {
		at := place{i.Repository, i.Image.Digest}
		tagged[at] = tagged[at] || i.Tag != ""
		signed[at] = signed[at] || !i.Renew
	}
	var out []Attachment
	for _, i := range images {
		at := place{i.Repository, i.Image.Digest}
		if i.Tag == "" && tagged[at] {
			continue
		}
		i.Renew = !signed[at]
		out = append(out, i)
	}
	return out
}

// isPlatform reports whether an entry says that it is of a platform of an index. Nobody
// is harmed by one that lies: its image is verified as ever.
func isPlatform(t trust.Target) bool {
	var custom struct {
		Tufoci struct {
			Index string `json:"index"`
		} `json:"tufoci"`
	}
	return json.Unmarshal(t.Custom, &custom) == nil && custom.Tufoci.Index != ""
}
