package cli

import (
	"bytes"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type imageAddOptions struct {
	registry     registryFlags
	as           string
	role         string
	fromFile     string
	fromDCT      string
	dct          dctOptions
	allPlatforms bool
	replace      bool
	exitCode     bool
	concurrency  int
}

func (a *app) newImageAdd() *cobra.Command {
	var o imageAddOptions
	cmd := &cobra.Command{
		Use:   "add IMAGE...",
		Short: "Stage the tags and digests of images",
		Long: `Read the manifest of each image, hash it and stage an entry for its tag and one
for its digest: all of them, or none. The names of entries have no host, so
that an image has to be on the host that images: in tufoci.yaml names; --as
gives an image from elsewhere the name of the one that it is.

A name that is signed with another digest is refused, unless --replace says
that the tag was moved on purpose. The old digest then stays allowed by its own
entry, until image rm.

--from-file reads what ko --image-refs writes: HOST/REPOSITORY[:TAG]@sha256:HEX,
one a line. --from-dct reads what Docker Content Trust has signed: a directory
with the metadata of Notary v1, verified from --root or --root-key, or a file
with what docker trust inspect prints. A tag of it is staged if the registry
serves exactly what was signed; the others are listed.`,
		Example: `  tufoci image add registry.acme.io/shop/api:1.4.2 --role apps-shop
  tufoci image add --from-file digests.txt --all-platforms
  tufoci image add --from-dct inspect.json`,
		Args: func(_ *cobra.Command, args []string) error { return o.check(args) },
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.as, "as", "", "stage the one image as `NAME:TAG`, without a host")
	f.StringVar(&o.role, "role", "", "`ROLE` that lists the entries (default: that of the tag, else targets or the right bin)")
	f.StringVar(&o.fromFile, "from-file", "", "`FILE` with a list of images by digest")
	f.StringVar(&o.fromDCT, "from-dct", "", "`PATH` of the data of Docker Content Trust")
	f.StringVar(&o.dct.root, "root", "", "verify Docker Content Trust from the root.json in `FILE`")
	addRootKey(cmd, &o.dct.rootKeys)
	f.BoolVar(&o.allPlatforms, "all-platforms", false, "allow the manifests of an index by their digests too")
	f.BoolVar(&o.replace, "replace", false, "a tag may be signed with another digest, which it leaves")
	f.IntVar(&o.concurrency, "concurrency", 5, "read `N` images at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.MarkFlagsMutuallyExclusive("from-file", "as", "from-dct")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			if o.fromDCT != "" {
				r, err := a.runImageAddDCT(ctx, w, &o)
				if err != nil {
					return err
				}
				return a.printChange(r, o.exitCode && len(r.Added) == 0)
			}
			change, err := a.runImageAdd(ctx, w, args, &o)
			if err != nil {
				return err
			}
			return a.printChange(newImageChangeResult(change), o.exitCode && len(change.Added) == 0)
		})
	})
	return cmd
}

func (o *imageAddOptions) check(args []string) error {
	switch {
	case o.concurrency < 1:
		return usagef("--concurrency is a number above 0")
	case (o.fromFile == "" && o.fromDCT == "") == (len(args) == 0):
		return usagef("give IMAGE..., --from-file or --from-dct")
	case o.fromDCT == "" && (o.dct.root != "" || o.dct.rootKeys != nil):
		return usagef("--root and --root-key go with --from-dct")
	case o.as != "" && len(args) != 1:
		return usagef("--as names one image")
	}
	return nil
}

func (a *app) runImageAdd(ctx context.Context, w *metadata.Workspace, args []string, o *imageAddOptions) (*metadata.ImageChange, error) {
	requests, err := o.requests(w, args)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	images, err := publish.FetchImages(ctx, imageOpener(client), requests, publish.FetchOptions{AllPlatforms: o.allPlatforms, Concurrency: o.concurrency})
	if err != nil {
		return nil, err
	}
	var entries []metadata.ImageEntry
	for _, image := range images {
		entries = append(entries, image.Entries(o.replace)...)
	}
	return w.AddImages(entries, metadata.ImageOptions{Role: o.role})
}

// requests are the images to read and the names that they get.
func (o *imageAddOptions) requests(w *metadata.Workspace, args []string) ([]publish.ImageRequest, error) {
	refs, err := o.references(args)
	if err != nil {
		return nil, err
	}
	if o.as != "" {
		repository, tag, ok := strings.Cut(imageName(w, o.as), ":")
		if !ok || !ociremote.IsRepository(repository) || !ociremote.IsTag(tag) {
			return nil, usagef("--as %q: want REPOSITORY:TAG, without a host", o.as)
		}
		return []publish.ImageRequest{{Reference: refs[0], Repository: repository, Tag: tag}}, nil
	}
	host, err := canonicalHost(w)
	if err != nil {
		return nil, err
	}
	requests := make([]publish.ImageRequest, len(refs))
	for n, ref := range refs {
		if requests[n], err = publish.NewImageRequest(ref, host); err != nil {
			return nil, err
		}
	}
	return requests, nil
}

func (o *imageAddOptions) references(args []string) ([]ociremote.ImageReference, error) {
	if o.fromFile != "" {
		list, err := readFile(o.fromFile)
		if err != nil {
			return nil, err
		}
		return publish.ReadImageList(bytes.NewReader(list))
	}
	refs := make([]ociremote.ImageReference, len(args))
	for n, arg := range args {
		var err error
		if refs[n], err = ociremote.ParseImage(arg); err != nil {
			return nil, err
		}
	}
	return refs, nil
}
