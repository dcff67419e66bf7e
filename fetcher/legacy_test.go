package fetcher_test

import (
	"errors"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// The older layout of docker/attest: delegated roles under tags of their own,
// target files in another repository.
func TestLegacyLayout(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.AddTarget("hello.txt", []byte("hello"))
	repo.Delegate("targets", "team", []string{"team/*"}, false)
	repo.AddTargetTo("team", "team/tool", []byte("tool"))
	repo.RotateKey("root")
	repo.Publish()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.PushLegacy(repository, "tuf", "acme/targets", repo)

	o := fetcher.Options{TargetsURL: g.Host() + "/acme/targets"}
	f := fetcher.New(t.Context(), source(t, g), options(t, o))
	client := &goTUF{dir: t.TempDir(), root: repo.RootBytes(), fetcher: f}
	up := client.updater(t)
	if err := up.Refresh(); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{"hello.txt": "hello", "team/tool": "tool"} {
		if got, err := getTarget(t, up, target); got != want || err != nil {
			t.Errorf("%s: %q, %v", target, got, err)
		}
	}

	v := f.View()
	if !v.Bundle().Legacy {
		t.Error("not seen as the older layout")
	}
	g.Reset()
	wantAll(t, v, repo.Files())
	if n := len(g.Requests()); n > 1 { // root 1 was not asked for before
		t.Errorf("%d requests for files that were read already", n)
	}
	for _, title := range []string{"metadata/3.root.json", "metadata/9.snapshot.json", "metadata/9.team.json", "metadata/1.other.json", "targets/none", "targets/team/none"} {
		_, err := v.File(t.Context(), title, plenty)
		wantIs(t, err, fetcher.ErrFileNotFound)
		if errors.Is(err, ociremote.ErrNotFound) {
			t.Errorf("%s: the registry's own not found travels on", title)
		}
	}
	wantError(t, v, repo.Title("team"), 10, fetcher.ErrLimit)
	wantError(t, open(t, g, o), repo.Title("team"), 10, fetcher.ErrLimit)
	wantError(t, open(t, g, o), "targets/"+tuftest.Digest([]byte("hello"))[7:]+".hello.txt", 4, ociremote.ErrTooLarge)

	little := o
	little.Limits.Total = int64(len(v.Bundle().Manifest)) + 100
	wantError(t, open(t, g, little), repo.Title("team"), plenty, fetcher.ErrLimit)

	g.DeleteBlob(repository, tuftest.Digest(repo.Data("team")))
	g.DeleteBlob("acme/targets", tuftest.Digest([]byte("hello")))
	for _, title := range []string{repo.Title("team"), "targets/" + tuftest.Digest([]byte("hello"))[7:] + ".hello.txt"} {
		_, err := open(t, g, o).File(t.Context(), title, plenty)
		wantIs(t, err, fetcher.ErrLostBlob)
	}

	// Without the repository of targets only its files are missing.
	bare := open(t, g, fetcher.Options{})
	wantError(t, bare, "targets/x", plenty, fetcher.ErrInvalidSource)
	wantAll(t, bare, map[string][]byte{repo.Title("targets"): repo.Data("targets")})
}
