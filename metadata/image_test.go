package metadata

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// image is an entry whose bytes are the text.
func image(repository, tag, text string) ImageEntry {
	return ImageEntry{Repository: repository, Tag: tag, SHA256: checksum([]byte(text)), Length: int64(len(text)), MediaType: "application/vnd.oci.image.manifest.v1+json"}
}

// platform is the manifest of an index.
func platform(repository, text, index string) ImageEntry {
	n := image(repository, "", text)
	n.Index = checksum([]byte(index))
	return n
}

// names are the names of entries with the roles that list them.
func names(images []Image) string {
	var out []string
	for _, i := range images {
		out = append(out, i.Role+"/"+i.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func imageAt(repository, text string) string { return digestName(repository, checksum([]byte(text))) }

func (w *world) addImages(ws *Workspace, role string, entries ...ImageEntry) *ImageChange {
	w.t.Helper()
	change, err := ws.AddImages(entries, ImageOptions{Role: role})
	w.must(err)
	return change
}

// signed lists the images of a workspace.
func (w *world) signed(ws *Workspace) string {
	w.t.Helper()
	all, err := ws.Images(ImageFilter{})
	w.must(err)
	var out []string
	for _, i := range all {
		out = append(out, i.Role+"/"+i.Name)
	}
	return strings.Join(out, " ")
}

// withTeam is a published standard workspace with a role for the images below shop.
func withTeam(t *testing.T) (*world, *Workspace) {
	t.Helper()
	w := newWorld(t)
	ws := w.init(w.initOptions())
	w.addKey(ws, "shop")
	w.must(ws.AddDelegation(DelegationOptions{Name: "apps-shop", Images: []string{"shop/*"}, Keys: []string{"shop"}}))
	w.sign(ws)
	w.publish(ws)
	return w, ws
}

func TestAddImages(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	change := w.addImages(ws, "apps-shop", image("shop/api", "1.4.2", "a"))
	if got, want := names(change.Added), "apps-shop/shop/api:1.4.2 apps-shop/"+imageAt("shop/api", "a"); got != want {
		t.Errorf("added %s, want %s", got, want)
	}
	w.sign(ws)
	w.publish(ws)
	c := w.find(ws)
	for _, name := range []string{"shop/api:1.4.2", imageAt("shop/api", "a")} {
		info, _, err := c.get(imagesPrefix + name)
		w.must(err)
		if info.Length != 1 || info.Hashes["sha256"].String() != checksum([]byte("a")) ||
			string(*info.Custom) != `{"tufoci":{"mediaType":"application/vnd.oci.image.manifest.v1+json"}}` {
			t.Errorf("%s: %+v %s", name, info, *info.Custom)
		}
	}

	// The same again changes nothing, without naming the role too.
	for _, role := range []string{"apps-shop", ""} {
		change = w.addImages(ws, role, image("shop/api", "1.4.2", "a"), image("shop/api", "1.4.2", "a"))
		if len(change.Added) > 0 || len(change.Unchanged) != 2 || len(ws.staged) > 0 {
			t.Errorf("role %q: added %s, unchanged %s, %d staged", role, names(change.Added), names(change.Unchanged), len(ws.staged))
		}
	}
	got, err := ws.Image("shop/api:1.4.2")
	w.must(err)
	if got.Digest != digestOf(checksum([]byte("a"))) || got.Role != "apps-shop" || got.Staged {
		t.Errorf("%+v", got)
	}
	_, err = ws.Image("shop/api:2")
	wantErr(t, err, ErrNoTarget, "shop/api:2")
}

func TestAddImagesRefuses(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	w.addImages(ws, "", image("shop/api", "1", "a"))
	before := w.files()
	noTag := platform("shop/api", "p", "i")
	noTag.Tag = "1"
	badIndex := image("shop/api", "", "p")
	badIndex.Index = "x"
	for name, c := range map[string]struct {
		entries []ImageEntry
		role    string
		want    error
	}{
		"another digest":     {[]ImageEntry{image("web", "1", "w"), image("shop/api", "1", "b")}, "", ErrImageDiffers},
		"two digests":        {[]ImageEntry{image("web", "1", "w"), image("web", "1", "x")}, "", ErrInvalid},
		"host":               {[]ImageEntry{image("reg:5000/web", "1", "w")}, "", ErrInvalid},
		"upper case":         {[]ImageEntry{image("Web", "1", "w")}, "", ErrInvalid},
		"tag":                {[]ImageEntry{image("web", "a/b", "w")}, "", ErrInvalid},
		"too deep":           {[]ImageEntry{image(strings.Repeat("a/", 8)+"x", "1", "w")}, "", ErrInvalid},
		"no such role":       {[]ImageEntry{image("web", "1", "w")}, "nobody", ErrNoRole},
		"foreign role":       {[]ImageEntry{image("web", "1", "w")}, "apps-shop", ErrNotDelegated},
		"top-level role":     {[]ImageEntry{image("web", "1", "w")}, "snapshot", ErrInvalid},
		"platform with tag":  {[]ImageEntry{noTag}, "", ErrInvalid},
		"index is no digest": {[]ImageEntry{badIndex}, "", ErrInvalid},
		"empty":              {[]ImageEntry{image("web", "1", "")}, "", ErrInvalid},
	} {
		_, err := ws.AddImages(c.entries, ImageOptions{Role: c.role})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if after := w.files(); len(after) != len(before) {
		t.Errorf("something was staged: %v", after)
	}
}

// A moved tag is a decision: it names both digests, and the old digest stays a permission of which one is told.
func TestReplaceImage(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	w.addImages(ws, "apps-shop", image("shop/api", "1", "a"))
	_, err := ws.AddImages([]ImageEntry{image("shop/api", "1", "b")}, ImageOptions{})
	wantErr(t, err, ErrImageDiffers, checksum([]byte("a")), checksum([]byte("b")), "apps-shop")

	moved := image("shop/api", "1", "b")
	moved.Replace = true
	change := w.addImages(ws, "", moved, platform("shop/api", "p", "b"))
	if got, want := names(change.Kept), "apps-shop/"+imageAt("shop/api", "a"); got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
	// What comes with a tag stands where the tag stands.
	for _, added := range change.Added {
		if added.Role != "apps-shop" {
			t.Errorf("%s is in %s", added.Path, added.Role)
		}
	}
	if len(change.Added) != 3 {
		t.Errorf("added %s", names(change.Added))
	}
	if got, err := ws.Image("shop/api:1"); err != nil || got.Digest != digestOf(checksum([]byte("b"))) {
		t.Errorf("%+v %v", got, err)
	}
}

// An entry that clients would never come to is refused, also as a replacement.
func TestReplaceHiddenImage(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	w.addImages(ws, "targets", image("shop/api", "1", "a"))
	moved := image("shop/api", "1", "b")
	moved.Replace = true
	_, err := ws.AddImages([]ImageEntry{moved}, ImageOptions{Role: "apps-shop"})
	wantErr(t, err, ErrImageDiffers, "ask that role first")
	w.addImages(ws, "targets", moved)

	// The other way round the new entry is the one that counts.
	w.addImages(ws, "apps-shop", image("shop/web", "1", "a"))
	_, err = ws.AddImages([]ImageEntry{image("shop/web", "1", "b")}, ImageOptions{Role: "targets"})
	wantErr(t, err, ErrImageDiffers)
	moved = image("shop/web", "1", "b")
	moved.Replace = true
	w.addImages(ws, "targets", moved)
	if got, err := ws.Image("shop/web:1"); err != nil || got.Digest != digestOf(checksum([]byte("b"))) || got.Role != "targets" {
		t.Errorf("%+v %v", got, err)
	}
}

// The manifest of a platform names its index, the newest of several; an image that stands for itself names none.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	index := func(name string) string {
		t.Helper()
		got, err := ws.Image(name)
		w.must(err)
		return got.Index
	}
	w.addImages(ws, "", platform("api", "amd64", "one"), platform("api", "arm64", "one"), image("api", "1", "one"))
	w.addImages(ws, "", image("api", "2", "two"), platform("api", "arm64", "two"))
	if got := index(imageAt("api", "arm64")); got != digestOf(checksum([]byte("two"))) {
		t.Errorf("arm64 belongs to %s", got)
	}
	w.addImages(ws, "", image("api", "1-amd64", "amd64"))
	if got := index(imageAt("api", "amd64")); got != "" {
		t.Errorf("amd64 belongs to %s", got)
	}
	change := w.addImages(ws, "", image("api", "1", "one"), platform("api", "amd64", "one"))
	if len(change.Added) > 0 || index(imageAt("api", "amd64")) != "" {
		t.Errorf("added %s", names(change.Added))
	}
	// Given as both at once it stands for itself.
	w.addImages(ws, "", platform("web", "x", "i"), image("web", "x", "x"))
	if got := index(imageAt("web", "x")); got != "" {
		t.Errorf("web belongs to %s", got)
	}
}

func TestRemoveImages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		add    []ImageEntry
		remove []string
		o      RemoveImageOptions
		gone   []string // names
		kept   []string
	}{
		"tag and digest": {
			add:    []ImageEntry{image("api", "1", "a"), image("api", "2", "b")},
			remove: []string{"api:1"},
			gone:   []string{"api:1", imageAt("api", "a")},
		},
		"keep digest": {
			add:    []ImageEntry{image("api", "1", "a"), platform("api", "p", "a")},
			remove: []string{"api:1"},
			o:      RemoveImageOptions{KeepDigest: true},
			gone:   []string{"api:1"},
			kept:   []string{imageAt("api", "a")},
		},
		"another tag has the digest": {
			add:    []ImageEntry{image("api", "1", "a"), image("api", "latest", "a"), platform("api", "p", "a")},
			remove: []string{"api:1"},
			gone:   []string{"api:1"},
			kept:   []string{imageAt("api", "a")},
		},
		"both tags of a digest": {
			add:    []ImageEntry{image("api", "1", "a"), image("api", "latest", "a")},
			remove: []string{"api:1", "api:latest"},
			gone:   []string{"api:1", imageAt("api", "a"), "api:latest"},
		},
		"another repository does not count": {
			add:    []ImageEntry{image("api", "1", "a"), image("api2", "1", "a"), image("web", "1", "a")},
			remove: []string{"api:1"},
			gone:   []string{"api:1", imageAt("api", "a")},
		},
		"digest alone": {
			add:    []ImageEntry{image("api", "", "a"), platform("api", "p", "a")},
			remove: []string{imageAt("api", "a")},
			gone:   []string{imageAt("api", "a"), imageAt("api", "p")},
		},
		"tag and digest by name": {
			add:    []ImageEntry{image("api", "1", "a")},
			remove: []string{imageAt("api", "a"), "api:1", "api:1"},
			gone:   []string{"api:1", imageAt("api", "a")},
		},
		"index with platforms": {
			add:    []ImageEntry{image("api", "1", "i"), platform("api", "p", "i"), platform("api", "q", "i"), platform("api", "r", "other")},
			remove: []string{"api:1"},
			gone:   []string{"api:1", imageAt("api", "i"), imageAt("api", "p"), imageAt("api", "q")},
		},
		"platform with a tag": {
			add:    []ImageEntry{image("api", "1", "i"), platform("api", "q", "i"), image("api", "1-amd64", "p"), platform("api", "p", "i")},
			remove: []string{"api:1"},
			gone:   []string{"api:1", imageAt("api", "i"), imageAt("api", "q")},
		},
		"one platform": {
			add:    []ImageEntry{image("api", "1", "i"), platform("api", "p", "i")},
			remove: []string{imageAt("api", "p")},
			gone:   []string{imageAt("api", "p")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ws := w.init(w.initOptions())
			w.addImages(ws, "", c.add...)
			want := strings.Fields(w.signed(ws))
			change, err := ws.RemoveImages(c.remove, c.o)
			w.must(err)
			for i, n := range c.gone {
				c.gone[i] = "targets/" + n
			}
			for i, n := range c.kept {
				c.kept[i] = "targets/" + n
			}
			slices.Sort(c.gone)
			if got := names(change.Removed); got != strings.Join(c.gone, " ") {
				t.Errorf("removed %s, want %s", got, c.gone)
			}
			if got := names(change.Kept); got != strings.Join(c.kept, " ") {
				t.Errorf("kept %s, want %s", got, c.kept)
			}
			want = slices.DeleteFunc(want, func(n string) bool { return slices.Contains(c.gone, n) })
			if got := w.signed(ws); got != strings.Join(want, " ") {
				t.Errorf("left %s, want %s", got, want)
			}
		})
	}
}

func TestRemoveImagesRefuses(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	w.addImages(ws, "", image("shop/api", "1", "a"), image("shop/api", "2", "b"))
	before := w.signed(ws)
	for _, c := range []struct {
		names []string
		role  string
		want  error
	}{
		{[]string{"shop/api:2", "shop/api:3"}, "", ErrNoTarget},
		{[]string{"shop/api:2"}, "apps-shop", ErrNoTarget},
		{[]string{"shop/api:2"}, "nobody", ErrNoRole},
		{[]string{imageAt("shop/api", "a")}, "", ErrImageInUse},
		{[]string{"shop/api"}, "", ErrInvalid},
		{[]string{"reg:5000/shop/api:1"}, "", ErrInvalid},
	} {
		_, err := ws.RemoveImages(c.names, RemoveImageOptions{Role: c.role})
		if !errors.Is(err, c.want) {
			t.Errorf("%v in %q: %v, want %v", c.names, c.role, err, c.want)
		}
	}
	if got := w.signed(ws); got != before {
		t.Errorf("left %s", got)
	}
}

// An image that two roles list is gone when it is removed: no other role goes on vouching for it.
func TestRemoveImageFromEveryRole(t *testing.T) {
	t.Parallel()
	w, ws := withTeam(t)
	w.addImages(ws, "apps-shop", image("shop/api", "1", "a"))
	w.addImages(ws, "targets", image("shop/api", "1", "a"))
	_, err := ws.RemoveImages([]string{"shop/api:1"}, RemoveImageOptions{})
	w.must(err)
	if got := w.signed(ws); got != "" {
		t.Errorf("left %s", got)
	}
	// What was never published is not staged any more.
	if len(ws.staged) != 0 {
		t.Errorf("staged %v", ws.staged)
	}
}

// Images in bins stand where their names lead, each in its own, and what is not touched is not parsed.
func TestImagesInBins(t *testing.T) {
	t.Parallel()
	w, ws := withBins(t, 16)
	w.addImages(ws, "", image("shop/api", "1", "i"), platform("shop/api", "p", "i"))
	w.addImages(ws, "images", image("web", "1", "w"))
	w.publish(ws)
	c := w.find(ws)
	for _, name := range []string{"shop/api:1", imageAt("shop/api", "i"), imageAt("shop/api", "p"), "web:1", imageAt("web", "w")} {
		if _, _, err := c.get(imagesPrefix + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(ws.Close())
	ws = w.open()
	w.addImages(ws, "", image("web", "2", "x"))
	if len(ws.parsed.targets) > 4 { // targets, images, two bins
		t.Errorf("%d files were parsed", len(ws.parsed.targets))
	}
	_, err := ws.RemoveImages([]string{"shop/api:1"}, RemoveImageOptions{})
	w.must(err)
	all, err := ws.Images(ImageFilter{Role: binsRole, Staged: true})
	w.must(err)
	if len(all) != 2 || all[0].Name != "web:2" {
		t.Errorf("%+v", all)
	}
	all, err = ws.Images(ImageFilter{Repository: "shop/api"})
	w.must(err)
	if len(all) != 0 {
		t.Errorf("%+v", all)
	}
	w.publish(ws)
	if _, _, err := w.find(ws).get(imagesPrefix + "shop/api:1"); err == nil {
		t.Error("the image is still signed")
	}
}
