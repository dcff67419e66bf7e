//go:build bench

package bench

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// The two clients that are compared.
const (
	tufoci = "tufoci"
	goTUF  = "go-tuf"
)

// job is one refresh by a process that starts with what an earlier one left
// in Dir, and then the lookup, or the download, of one target.
type job struct {
	Client string
	// Host of the registry, or URL of the web server.
	Host string
	Root []byte
	// Dir holds state and cache between jobs.
	Dir    string
	Now    time.Time
	Target string
	// Download the target too; otherwise it is only looked up.
	Download bool
}

func (j job) run() error {
	if j.Client == tufoci {
		return j.tufoci()
	}
	return j.goTUF()
}

func (j job) tufoci() error {
	oci, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true})
	if err != nil {
		return err
	}
	defer oci.HTTP().CloseIdleConnections()
	source, err := trust.ParseSource(j.Host + "/acme/trust")
	if err != nil {
		return err
	}
	client, err := trust.New(j.Root, trust.Options{
		Client: oci, Source: source, Now: func() time.Time { return j.Now },
		StateDir: filepath.Join(j.Dir, "state"), CacheDir: filepath.Join(j.Dir, "cache"),
		Limits: trust.Limits{}, // the defaults suffice at every size here
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	view, err := client.Refresh(ctx)
	if err != nil {
		return err
	}
	if j.Download {
		_, _, err = view.Get(ctx, j.Target)
		return err
	}
	_, err = view.Lookup(ctx, j.Target)
	return err
}

func (j job) goTUF() error {
	cfg, err := config.New("http://"+j.Host+"/metadata", j.Root)
	if err != nil {
		return err
	}
	cfg.RemoteTargetsURL = "http://" + j.Host + "/targets"
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = filepath.Join(j.Dir, "metadata"), filepath.Join(j.Dir, "targets")
	cfg.TargetsMaxLength = 64 << 20 // its default of 5 MB ends at about 35,000 targets
	for _, dir := range []string{cfg.LocalMetadataDir, cfg.LocalTargetsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// Like a process that starts again: the newest root that it keeps.
	if kept, err := os.ReadFile(filepath.Join(cfg.LocalMetadataDir, "root.json")); err == nil {
		cfg.LocalTrustedRoot = kept
	}
	client, err := updater.New(cfg)
	if err != nil {
		return err
	}
	client.UnsafeSetRefTime(j.Now)
	if err := client.Refresh(); err != nil {
		return err
	}
	target, err := client.GetTargetInfo(j.Target)
	if err != nil || !j.Download {
		return err
	}
	file := filepath.Join(cfg.LocalTargetsDir, hex.EncodeToString(target.Hashes["sha256"]))
	if path, _, err := client.FindCachedTarget(target, file); err == nil && path != "" {
		return nil
	}
	_, _, err = client.DownloadTarget(target, file, "")
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}
