package cli

import (
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// cmdRetag is "retag REPOSITORY FROM TO": somebody moves a tag.
func (s *story) cmdRetag(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "retag REPOSITORY FROM TO")
	manifest, ok := s.plain.Manifest(args[0], args[1])
	if !ok {
		ts.Fatalf("%s has no tag %s", args[0], args[1])
	}
	s.plain.PutManifest(args[0], args[2], manifest)
}

// cmdUntag is "untag REPOSITORY TAG".
func (s *story) cmdUntag(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "untag REPOSITORY TAG")
	s.plain.DeleteTag(args[0], args[1])
}

// cmdForge is "forge REPOSITORY": the bundle under the tag tuf gets a newer
// timestamp that nobody has signed.
func (s *story) cmdForge(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "forge REPOSITORY")
	d := demo{host: s.plain.Host(), repositoryName: args[0], env: map[string]string{}}
	_, err := d.attack(s.t.Context(), forgeTimestamp)
	ts.Check(err)
}

// cmdImage is "image REPOSITORY TAG": an image that has nothing to do with us.
func (s *story) cmdImage(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "image REPOSITORY TAG")
	s.plain.PutBlob(args[0], []byte("{}"))
	s.plain.PutManifest(args[0], args[1], []byte(`{"schemaVersion":2,`+
		`"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json",`+
		`"digest":"`+tuftest.Digest([]byte("{}"))+`","size":2},"layers":[]}`))
}

// cmdLose is "lose REPOSITORY TAG TITLE": the registry loses the blob of a file.
func (s *story) cmdLose(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "lose REPOSITORY TAG TITLE")
	manifest, ok := s.plain.Manifest(args[0], args[1])
	if !ok {
		ts.Fatalf("%s has no tag %s", args[0], args[1])
	}
	bundle, err := ociremote.ParseBundle(manifest)
	ts.Check(err)
	file, ok := bundle.File(args[2])
	if !ok {
		ts.Fatalf("the bundle has no %s", args[2])
	}
	s.plain.DeleteBlob(args[0], file.Descriptor.Digest.String())
}

// cmdTufRepo is "tufrepo DIR LIFE": a classic repository of three roots, a
// target of its own and a delegated role that lists one, which live for LIFE.
func (s *story) cmdTufRepo(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "tufrepo DIR LIFE")
	life, err := parseSpan(args[1])
	ts.Check(err)
	r := tuftest.NewRepo(s.t, tuftest.RepoOptions{Now: time.Now().UTC().Truncate(time.Second), Life: life})
	r.AddTarget("hello.txt", []byte("hello\n"))
	r.Delegate("targets", "team", []string{"team/*"}, false)
	r.AddTargetTo("team", "team/a.txt", []byte("a\n"))
	r.Publish()
	for range 2 {
		r.RotateKey("root")
		r.Publish()
	}
	dir := ts.MkAbs(args[0])
	for title, data := range r.Files() {
		file := filepath.Join(dir, filepath.FromSlash(title))
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
		ts.Check(os.WriteFile(file, data, 0o644))
	}
}

func want(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) != n {
		ts.Fatalf("usage: %s", usage)
	}
}
