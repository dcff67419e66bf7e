package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

func (a *app) newImage() *cobra.Command {
	cmd := newGroup("image", "Images: the tags and digests that the repository vouches for",
		a.newImageAdd(), a.newImageRemove(), a.newImageList(), a.newImageSync())
	cmd.Aliases = []string{"tag"}
	return cmd
}

// imageEntry is one signed entry of an image: by tag, or by digest.
type imageEntry struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	MediaType  string `json:"mediaType"`
	Index      string `json:"index"`
	Length     int64  `json:"length"`
	Role       string `json:"role"`
	Staged     bool   `json:"staged"`
}

func imageEntries(in []metadata.Image) []imageEntry {
	out := make([]imageEntry, 0, len(in))
	for _, i := range in {
		out = append(out, imageEntry{
			Name: i.Name, Repository: i.Repository, Tag: i.Tag, Digest: i.Digest, MediaType: i.MediaType, Index: i.Index,
			Length: i.Length, Role: i.Role, Staged: i.Staged,
		})
	}
	return out
}

// imageChangeResult is what an edit of images stages.
type imageChangeResult struct {
	document
	Added     []imageEntry `json:"added"`
	Unchanged []imageEntry `json:"unchanged"`
	Removed   []imageEntry `json:"removed"`
	Kept      []imageEntry `json:"kept"`
}

func newImageChangeResult(c *metadata.ImageChange) *imageChangeResult {
	return &imageChangeResult{
		Added: imageEntries(c.Added), Unchanged: imageEntries(c.Unchanged), Removed: imageEntries(c.Removed), Kept: imageEntries(c.Kept),
	}
}

func (r *imageChangeResult) text(w io.Writer, _ *app) {
	writeStagedImages(w, r.Added)
	for _, i := range r.Removed {
		fmt.Fprintf(w, "- images/%s   staged in %s\n", i.Name, printable(i.Role))
	}
	for _, i := range r.Unchanged {
		fmt.Fprintf(w, "= images/%s   in %s already\n", i.Name, printable(i.Role))
	}
	for _, i := range r.Kept {
		fmt.Fprintf(w, "kept in %s: images/%s stays allowed by its digest, until `tufoci image rm %s`\n", printable(i.Role), i.Name, i.Name)
	}
}

// writeStagedImages prints the names of one image in a line, if one role lists them.
func writeStagedImages(w io.Writer, entries []imageEntry) {
	done := make([]bool, len(entries))
	for n, i := range entries {
		if done[n] {
			continue
		}
		var names []string
		for m, other := range entries[n:] {
			if other.Repository == i.Repository && other.Digest == i.Digest && other.Role == i.Role && other.Index == i.Index {
				names = append(names, "images/"+other.Name)
				done[n+m] = true
			}
		}
		suffix := ""
		if i.Index != "" {
			suffix = ", a platform of " + printable(i.Index)
		}
		fmt.Fprintf(w, "staged in %s: %s = {sha256: %s, length: %d}%s\n",
			printable(i.Role), joinWords(names), strings.TrimPrefix(i.Digest, "sha256:"), i.Length, suffix)
	}
}

// imageName takes the canonical host off a name that was typed with it: names in metadata have none.
func imageName(w *metadata.Workspace, typed string) string {
	host, err := canonicalHost(w)
	if err != nil {
		return typed
	}
	return strings.TrimPrefix(typed, host+"/")
}

func imageNames(w *metadata.Workspace, typed []string) []string {
	out := make([]string, len(typed))
	for n, name := range typed {
		out[n] = imageName(w, name)
	}
	return out
}

// canonicalHost is the host that image names in metadata stand for.
func canonicalHost(w *metadata.Workspace) (string, error) {
	if w.Config().Images == "" {
		return "", usagef("tufoci.yaml does not say where images are: it needs a line like `images: registry.acme.io`")
	}
	host, err := ociremote.ParseImageHost(w.Config().Images)
	if err != nil {
		return "", fmt.Errorf("tufoci.yaml: images: %w", err)
	}
	return host, nil
}

// imageOpener reads images with a client.
func imageOpener(client *ociremote.Client) publish.OpenImage {
	return func(ctx context.Context, ref ociremote.ImageReference) (ociremote.Repository, error) {
		return client.Repository(ctx, ref.Reference(), false)
	}
}
