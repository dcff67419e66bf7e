package trust_test

import (
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// TestPlaces reads what was put in each kind of place, and put again, with the client.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, kind := range tuftest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
			p := tuftest.NewPlace(t, kind)
			source, err := fetcher.ParseSource(p.Source())
			if err != nil {
				t.Fatal(err)
			}
			if string(source.Kind) != string(kind) {
				t.Errorf("%s is of kind %s", p.Source(), source.Kind)
			}
			client, err := trust.New(repo.RootBytes(), trust.Options{Source: source, Now: repo.Now})
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"one", "two"} {
				repo.AddTarget("dir/file", []byte(text))
				repo.Publish()
				p.Put(repo.Files(), tuftest.PackOptions{})
				view, err := client.Refresh(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if data, _, err := view.Get(t.Context(), "dir/file"); err != nil || string(data) != text {
					t.Errorf("%q, %v", data, err)
				}
			}
		})
	}
}
