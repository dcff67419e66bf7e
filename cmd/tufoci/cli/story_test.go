package cli

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
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

// cmdLose is "lose REPOSITORY TAG": the registry loses every blob of a bundle,
// the inline layer too.
func (s *story) cmdLose(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "lose REPOSITORY TAG")
	manifest, ok := s.plain.Manifest(args[0], args[1])
	if !ok {
		ts.Fatalf("%s has no tag %s", args[0], args[1])
	}
	var bundle ocispec.Manifest
	ts.Check(json.Unmarshal(manifest, &bundle))
	for _, layer := range bundle.Layers {
		s.plain.DeleteBlob(args[0], layer.Digest.String())
	}
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

// cmdPemKey is "pemkey FILE PUBLIC VARIABLE": a private key in the clear in a
// file, the public half of another in a second one, and a third in a variable.
func (s *story) cmdPemKey(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "pemkey FILE PUBLIC VARIABLE")
	private := func() (ed25519.PublicKey, []byte) {
		public, key, err := ed25519.GenerateKey(nil)
		ts.Check(err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		ts.Check(err)
		return public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	_, first := private()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), first, 0o600))
	second, _ := private()
	der, err := x509.MarshalPKIXPublicKey(second)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	_, third := private()
	ts.Setenv(args[2], string(third))
}

// cmdLock is "lock DIR": somebody else works in the workspace for the rest of
// the script.
func (s *story) cmdLock(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "lock DIR")
	w, err := metadata.Open(ts.MkAbs(args[0]), metadata.OpenOptions{})
	ts.Check(err)
	ts.Defer(func() { w.Close() })
}

// cmdCopyDir is "copydir FROM TO".
func (s *story) cmdCopyDir(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "copydir FROM TO")
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

func want(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) != n {
		ts.Fatalf("usage: %s", usage)
	}
}
