package fetcher_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"
	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore/pkg/signature"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// A plain go-tuf program that reads its repository from a registry.
func Example() {
	ctx := context.Background()
	trust, root, stop := startRegistry(ctx)
	defer stop()

	// The usual configuration of go-tuf. The URL is replaced by Configure.
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg, err := config.New("https://unused.example", root)
	if err != nil {
		log.Fatal(err)
	}
	cfg.LocalMetadataDir = filepath.Join(dir, "metadata")
	cfg.LocalTargetsDir = filepath.Join(dir, "targets")

	// These three lines make it read from a registry.
	source, err := fetcher.ParseSource(trust)
	if err != nil {
		log.Fatal(err)
	}
	f := fetcher.New(ctx, source, fetcher.Options{})
	f.Configure(cfg)

	up, err := updater.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := up.Refresh(); err != nil {
		log.Fatal(err)
	}
	info, err := up.GetTargetInfo("greeting.txt")
	if err != nil {
		log.Fatal(err)
	}
	_, data, err := up.DownloadTarget(info, "", "")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", data)
	fmt.Println("files in the bundle:", len(f.View().Titles()))
	// Output:
	// hello from a registry
	// files in the bundle: 5
}

// startRegistry starts a registry that holds a small repository. It returns the
// reference of the repository and the root to trust.
func startRegistry(ctx context.Context) (trust string, root []byte, stop func()) {
	registry := olareg.New(olaregconfig.Config{
		Storage: olaregconfig.ConfigStorage{StoreType: olaregconfig.StoreMem},
		Log:     slog.New(slog.DiscardHandler),
	})
	server := httptest.NewServer(registry)
	trust = strings.TrimPrefix(server.URL, "http://") + "/acme/trust"

	files := smallRepository([]byte("hello from a registry\n"))
	bundle, blobs, err := ociremote.Pack(files, ociremote.PackOptions{})
	if err != nil {
		log.Fatal(err)
	}
	ref, err := ociremote.ParseReference(trust)
	if err != nil {
		log.Fatal(err)
	}
	client, err := ociremote.NewClient(ociremote.Options{})
	if err != nil {
		log.Fatal(err)
	}
	repo, err := client.Repository(ctx, ref, true)
	if err != nil {
		log.Fatal(err)
	}
	destination, ok := repo.(ociremote.WritableRepository)
	if !ok {
		log.Fatal("the repository cannot be written to")
	}
	for _, blob := range blobs {
		if err := destination.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			log.Fatal(err)
		}
	}
	if err := destination.PushReference(ctx, bundle.Descriptor, bytes.NewReader(bundle.Manifest), ref.Tag); err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		if file.Title == "metadata/1.root.json" {
			root = file.Data
		}
	}
	return trust, root, func() {
		client.HTTP().CloseIdleConnections()
		server.Close()
		_ = registry.Close()
	}
}

// smallRepository signs a repository with one key and one target. Package
// metadata does that for real ones.
func smallRepository(greeting []byte) []ociremote.Content {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := tuf.KeyFromPublicKey(public)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		log.Fatal(err)
	}
	expires := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	sum := sha256.Sum256(greeting)

	root := tuf.Root(expires)
	for _, role := range tuf.TOP_LEVEL_ROLE_NAMES {
		if err := root.Signed.AddKey(key, role); err != nil {
			log.Fatal(err)
		}
	}
	targets := tuf.Targets(expires)
	targets.Signed.Targets["greeting.txt"] = &tuf.TargetFiles{
		Length: int64(len(greeting)), Hashes: tuf.Hashes{"sha256": sum[:]}, Path: "greeting.txt",
	}
	return []ociremote.Content{
		content("metadata/1.root.json", sign(root, signer)),
		content("metadata/1.snapshot.json", sign(tuf.Snapshot(expires), signer)),
		content("metadata/1.targets.json", sign(targets, signer)),
		content("metadata/timestamp.json", sign(tuf.Timestamp(expires), signer)),
		content("targets/"+hex.EncodeToString(sum[:])+".greeting.txt", greeting),
	}
}

func sign[T tuf.Roles](md *tuf.Metadata[T], signer signature.Signer) []byte {
	if _, err := md.Sign(signer); err != nil {
		log.Fatal(err)
	}
	data, err := md.ToBytes(false)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func content(title string, data []byte) ociremote.Content {
	return ociremote.Content{Title: title, Digest: digest.FromBytes(data), Size: int64(len(data)), Data: data}
}
