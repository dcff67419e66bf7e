package trust_test

import (
	"os"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// keptWorld is a repository of which a state was refreshed and nothing was looked
// up: what it needs lies in the inline layer alone.
func keptWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("small"))
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("of the team"))
	w.publish()
	w.cache = ""
	w.mustRefresh()
	w.at.reset()
	return w
}

func (w *world) load() *trust.View {
	w.t.Helper()
	view, err := w.client().Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return view
}

func TestLoadReadsTheInlineLayer(t *testing.T) {
	t.Parallel()
	w := keptWorld(t)
	view := w.load()
	for name, want := range map[string]string{"file": "small", "team/file": "of the team"} {
		if data, _, err := view.Get(t.Context(), name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if n := w.at.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
	// LoadFrom asks for nothing that is at hand.
	view, err := w.client().LoadFrom(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := view.Get(t.Context(), "team/file"); err != nil || w.at.requests() != 0 {
		t.Errorf("%d requests, %v", w.at.requests(), err)
	}
}

// What the stored bundle carries is believed as little as what a source sends.
func TestInlineLayerOfAnotherState(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]func(w *world){
		// Of a state that is not that of the bundle.
		"an older bundle": func(w *world) {
			bundle, source := w.stateFiles()["bundle.json"], w.stateFiles()["source.json"]
			w.AddTarget("file", []byte("larger"))
			w.AddTargetTo("team", "team/file", []byte("new"))
			w.publish()
			w.mustRefresh()
			w.writeState("bundle.json", []byte(bundle))
			w.writeState("source.json", []byte(source))
		},
		"no bundle":        func(w *world) { os.Remove(w.stateFile("bundle.json")) },
		"a damaged bundle": func(w *world) { w.writeState("bundle.json", []byte("{}")) },
		"a bundle of a pin": func(w *world) {
			w.plantBundle(func(files map[string][]byte) { delete(files, "metadata/timestamp.json") })
		},
		"other bytes": func(w *world) {
			w.plantBundle(func(files map[string][]byte) {
				for title := range files {
					if title[:8] == "targets/" || title == "metadata/1.team.json" {
						files[title] = []byte("evil")
					}
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := keptWorld(t)
			tt(w)
			view := w.load()
			for _, name := range []string{"file", "team/file"} {
				data, _, err := view.Get(t.Context(), name)
				if e := refused(t, err, trust.ErrStaleCopy); data != nil || e.Version == 0 {
					t.Errorf("%s: %q, %v", name, data, err)
				}
			}
		})
	}
}

// plantBundle stores a bundle of edited files as if it were that of the state.
func (w *world) plantBundle(edit func(map[string][]byte)) {
	w.t.Helper()
	files := w.Files()
	edit(files)
	bundle := tuftest.Pack(w.t, files, tuftest.PackOptions{})
	w.writeState("bundle.json", bundle.Manifest)
	w.writeState("source.json", []byte(`{"format":1,"root":1,"digest":"`+bundle.Digest+`"}`))
}

func TestLoadWithoutInlineLayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.AddTarget("file", []byte("small"))
	w.publish()
	w.cache = ""
	w.mustRefresh()
	_, _, err := w.load().Get(t.Context(), "file")
	refused(t, err, trust.ErrStaleCopy)
}
