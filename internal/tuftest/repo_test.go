package tuftest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// oracle is go-tuf's own client, pinned to root, over files served by http.
func oracle(t *testing.T, root []byte, files map[string][]byte, now time.Time) (*updater.Updater, error) {
	t.Helper()
	server := httptest.NewServer(tuftest.Serve(files))
	t.Cleanup(server.Close)
	cfg, err := config.New(server.URL+"/metadata", root)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RemoteTargetsURL = server.URL + "/targets"
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = t.TempDir(), t.TempDir()
	client, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	client.UnsafeSetRefTime(now)
	return client, client.Refresh()
}

func mustRefresh(t *testing.T, r *tuftest.Repo) *updater.Updater {
	t.Helper()
	client, err := oracle(t, r.RootBytes(), r.Files(), r.Now())
	if err != nil {
		t.Fatalf("go-tuf refuses an honest repository: %v", err)
	}
	return client
}

func TestRepoReadByGoTUF(t *testing.T) {
	t.Parallel()
	options := map[string]tuftest.RepoOptions{
		"default":        {},
		"non-consistent": {NonConsistent: true},
		"threshold":      {Threshold: 2, Keys: 3},
		"bare meta":      {BareMeta: true},
		"P-256":          {KeyType: tuftest.ECDSAP256},
		"P-384":          {KeyType: tuftest.ECDSAP384},
		"RSA":            {KeyType: tuftest.RSA},
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tuftest.NewRepo(t, o)
			r.AddTarget("dir/top.txt", []byte("top"))
			r.Delegate("targets", "team/a", []string{"a/*"}, false)
			r.AddTargetTo("team/a", "a/x", []byte("from the team"))
			r.Publish()
			r.RotateKey("root")
			r.RotateKey("timestamp")
			r.RotateKey("team/a")
			r.Publish()
			client := mustRefresh(t, r)
			for target, want := range map[string]string{"dir/top.txt": "top", "a/x": "from the team"} {
				info, err := client.GetTargetInfo(target)
				if err != nil {
					t.Fatalf("%s: %v", target, err)
				}
				if _, data, err := client.DownloadTarget(info, "", ""); err != nil || string(data) != want {
					t.Errorf("%s = %q, %v; want %q", target, data, err, want)
				}
			}
			if got := client.GetTrustedMetadataSet().Root.Signed.Version; got != 2 {
				t.Errorf("root version %d, want 2", got)
			}
		})
	}
}

func TestBinsReadByGoTUF(t *testing.T) {
	t.Parallel()
	r := tuftest.NewRepo(t, tuftest.RepoOptions{})
	r.DelegateBins("targets", "images", 16)
	for i := range 40 {
		r.AddTargetTo("images", fmt.Sprintf("images/shop/api:%d", i), fmt.Append(nil, i))
	}
	r.Publish()
	client := mustRefresh(t, r)
	for i := range 40 {
		if _, err := client.GetTargetInfo(fmt.Sprintf("images/shop/api:%d", i)); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsAreRefusedByGoTUF(t *testing.T) {
	t.Parallel()
	unsigned, expired, version, mismatch := &tuf.ErrUnsignedMetadata{}, &tuf.ErrExpiredMetadata{}, &tuf.ErrBadVersionNumber{}, &tuf.ErrLengthOrHashMismatch{}
	faults := []struct {
		name  string
		roles []string
		fault func(r *tuftest.Repo, role string)
		want  error
	}{
		{"tampered", []string{"timestamp", "snapshot", "targets"}, func(r *tuftest.Repo, role string) {
			r.Tamper(role, func(data []byte) []byte {
				var file map[string]any
				if err := json.Unmarshal(data, &file); err != nil {
					t.Fatal(err)
				}
				file["signed"].(map[string]any)["extra"] = "unsigned"
				data, _ = json.Marshal(file)
				return data
			})
		}, unsigned},
		{"unsigned", []string{"root", "timestamp", "snapshot", "targets"}, func(r *tuftest.Repo, role string) { r.Unsign(role, 1) }, unsigned},
		{"other key", []string{"root", "timestamp", "snapshot", "targets"}, func(r *tuftest.Repo, role string) {
			r.SignAs(role, tuftest.NewKey(t, tuftest.Ed25519), tuftest.NewKey(t, tuftest.Ed25519))
		}, unsigned},
		{"expired", []string{"root", "timestamp", "snapshot", "targets"}, func(r *tuftest.Repo, role string) {
			r.SetExpiry(role, r.Now().Add(-time.Hour))
			r.Publish()
		}, expired},
		{"forged version", []string{"root", "snapshot", "targets"}, func(r *tuftest.Repo, role string) {
			r.Forge(role, func(signed map[string]any) { signed["version"] = 77 })
		}, version},
		{"forged alone", []string{"snapshot", "targets"}, func(r *tuftest.Repo, role string) {
			r.ForgeAlone(role, func(signed map[string]any) { signed["spec_version"] = "1.0.30" })
		}, mismatch},
	}
	for _, tt := range faults {
		for _, role := range tt.roles {
			t.Run(tt.name+"/"+role, func(t *testing.T) {
				t.Parallel()
				r := tuftest.NewRepo(t, tuftest.RepoOptions{Threshold: 2})
				r.AddTarget("a", []byte("a"))
				r.SetKeys("root", r.Keys("root"), 2)
				r.Publish()
				tt.fault(r, role)
				if _, err := oracle(t, r.RootBytes(), r.Files(), r.Now()); !errors.Is(err, tt.want) {
					t.Errorf("error %v (%T), want %T", err, err, tt.want)
				}
			})
		}
	}
}

func TestForgedAndSignedIsAccepted(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r := tuftest.NewRepo(t, tuftest.RepoOptions{})
		r.RotateKey("root")
		r.Publish()
		r.Forge(role, func(signed map[string]any) { signed["extra"] = "signed" })
		mustRefresh(t, r)
	}
}

func TestForkGoesItsOwnWay(t *testing.T) {
	t.Parallel()
	r := tuftest.NewRepo(t, tuftest.RepoOptions{})
	fork := r.Fork()
	fork.AddTarget("theirs", []byte("1"))
	fork.RotateKey("root")
	fork.Publish()
	r.AddTarget("ours", []byte("2"))
	r.Publish()
	if got := len(r.Roots()); got != 1 {
		t.Errorf("the fork's root reached the original: %d roots", got)
	}
	if _, err := mustRefresh(t, r).GetTargetInfo("theirs"); err == nil {
		t.Error("the fork's target reached the original")
	}
	if _, err := mustRefresh(t, fork).GetTargetInfo("ours"); err == nil {
		t.Error("the original's target reached the fork")
	}
}

func TestRemovedTargetLeavesFiles(t *testing.T) {
	t.Parallel()
	r := tuftest.NewRepo(t, tuftest.RepoOptions{NonConsistent: true})
	r.AddTarget("gone", []byte("1"))
	r.Publish()
	r.RemoveTarget("gone")
	r.Publish()
	if _, ok := r.Files()["targets/gone"]; ok {
		t.Error("the file is still there")
	}
	if _, err := mustRefresh(t, r).GetTargetInfo("gone"); err == nil {
		t.Error("the target is still listed")
	}
}
