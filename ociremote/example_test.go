package ociremote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tufoci/tufoci/ociremote"
)

// A bundle is packed, pushed blobs first, and read again in one request.
func ExamplePack() {
	ctx := context.Background()
	bundle, blobs, err := ociremote.Pack([]ociremote.Content{
		{Title: "metadata/timestamp.json", Data: []byte(`{"signed":{}}`)},
		{Title: "metadata/1.root.json", Data: []byte(`{"signed":{}}`)},
		{Title: "targets/b94d27.hello", Data: []byte("hello world")},
	}, ociremote.PackOptions{})
	if err != nil {
		log.Fatal(err)
	}
	repo := ociremote.NewMemory() // or a Client's Repository
	for _, blob := range blobs {
		if err := repo.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			log.Fatal(err)
		}
	}
	if err := repo.PushReference(ctx, bundle.Descriptor, bytes.NewReader(bundle.Manifest), "tuf"); err != nil {
		log.Fatal(err)
	}

	read, err := ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{})
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range read.Files {
		_, inline := read.Inline(file.Title)
		fmt.Println(file.Title, file.Descriptor.Size, inline)
	}
	_, err = ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{Digest: read.Descriptor.Digest})
	fmt.Println(errors.Is(err, ociremote.ErrNotModified))
	// Output:
	// metadata/1.root.json 13 true
	// metadata/timestamp.json 13 true
	// targets/b94d27.hello 11 true
	// true
}

func ExampleParseReference() {
	for _, s := range []string{"Registry.example.com/acme/trust", "oci-archive:trust.tar:beta"} {
		ref, err := ociremote.ParseReference(s)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ref, ref.Name())
	}
	// Output:
	// registry.example.com/acme/trust:tuf tuf
	// oci-archive:trust.tar:beta beta
}
