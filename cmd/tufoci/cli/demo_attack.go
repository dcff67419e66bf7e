package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
)

// forgery makes the bundle that an attacker puts in the place of another. It
// has the means of one who can write to the registry, and no key.
type forgery func(context.Context, ociremote.WritableRepository, *ociremote.Bundle) (*ociremote.Bundle, []ociremote.Blob, error)

// attack puts a forged bundle under the tag and returns the good one.
func (d *demo) attack(ctx context.Context, forge forgery) (good *ociremote.Bundle, err error) {
	repo, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	good, err = ociremote.FetchBundle(ctx, repo, ociremote.DefaultChannel, ociremote.Known{})
	if err != nil {
		return nil, err
	}
	bad, blobs, err := forge(ctx, repo, good)
	if err != nil {
		return nil, err
	}
	for _, b := range blobs {
		if b.Data == nil {
			continue // it is there
		}
		if err := repo.Push(ctx, b.Descriptor, bytes.NewReader(b.Data)); err != nil {
			return nil, err
		}
	}
	return good, move(ctx, repo, bad)
}

func (d *demo) open(ctx context.Context) (ociremote.WritableRepository, error) {
	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, RegistryConfig: d.env[envRegistryConfig]})
	if err != nil {
		return nil, err
	}
	ref, err := ociremote.ParseReference(d.repository())
	if err != nil {
		return nil, err
	}
	return openWritable(ctx, client, ref)
}

// putBack undoes an attack.
func (d *demo) putBack(ctx context.Context, good *ociremote.Bundle) error {
	repo, err := d.open(ctx)
	if err != nil {
		return err
	}
	return move(ctx, repo, good)
}

// move puts a bundle under the channel's tag.
func move(ctx context.Context, repo ociremote.WritableRepository, b *ociremote.Bundle) error {
	desc := b.Descriptor
	desc.Annotations = nil
	return repo.PushReference(ctx, desc, bytes.NewReader(b.Manifest), ociremote.DefaultChannel)
}

// firstBundle is the oldest bundle of the history.
func firstBundle(ctx context.Context, repo ociremote.WritableRepository, _ *ociremote.Bundle) (*ociremote.Bundle, []ociremote.Blob, error) {
	b, err := ociremote.FetchBundle(ctx, repo, ociremote.HistoryTag(ociremote.DefaultChannel, 1), ociremote.Known{})
	return b, nil, err
}

// forgeTimestamp raises the version of the timestamp and leaves its signature.
func forgeTimestamp(ctx context.Context, repo ociremote.WritableRepository, good *ociremote.Bundle) (*ociremote.Bundle, []ociremote.Blob, error) {
	const title = "metadata/timestamp.json"
	contents := make([]ociremote.Content, 0, len(good.Files))
	for _, f := range good.Files {
		c := ociremote.Content{Title: f.Title, Digest: f.Descriptor.Digest, Size: f.Descriptor.Size}
		if f.Title == title {
			data, err := ociremote.FetchBlob(ctx, repo, f.Descriptor, f.Descriptor.Size)
			if err != nil {
				return nil, nil, err
			}
			if c.Data, err = raiseVersion(data); err != nil {
				return nil, nil, err
			}
			c.Digest, c.Size = digest.FromBytes(c.Data), int64(len(c.Data))
		}
		contents = append(contents, c)
	}
	return ociremote.Pack(contents, ociremote.PackOptions{Annotations: good.Annotations})
}

func raiseVersion(data []byte) ([]byte, error) {
	var file struct {
		Signatures json.RawMessage            `json:"signatures"`
		Signed     map[string]json.RawMessage `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	var version int64
	if err := json.Unmarshal(file.Signed["version"], &version); err != nil {
		return nil, err
	}
	file.Signed["version"] = fmt.Append(nil, version+1)
	return json.Marshal(file)
}
