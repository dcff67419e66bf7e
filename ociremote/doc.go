// Package ociremote keeps a TUF repository in an OCI registry, an OCI image
// layout directory or an OCI archive (a tar of one), as one image manifest: the
// bundle.
//
// To read one:
//
//	ref, err := ociremote.ParseReference("registry.example.com/acme/trust")
//	client, err := ociremote.NewClient(ociremote.Options{})
//	repo, err := client.Repository(ctx, ref, false)
//	bundle, err := ociremote.FetchBundle(ctx, repo, ref.Name(), ociremote.Known{})
//
// [FetchBundle] is one request. [Bundle.Inline] then gives the small files, and
// [FetchBlob] the others. To write one, [Pack] turns files into a manifest and
// the blobs to push before it; [Client.Repository], [CreateLayout],
// [CreateArchive] and [NewMemory] give places to push to.
//
// The package knows nothing of TUF but the names under which a bundle keeps its
// files: nothing that it returns is verified as metadata. What it does hold: a
// blob has the size and digest that its manifest states, a bundle has the shape
// that the layout prescribes, everything read has a limit, and credentials go to
// the registry that they are meant for and nowhere else.
package ociremote
