package cli

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/mirror"
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
	life, err := period.Parse(args[1])
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

// keyVariables hold private keys in the clear: tests that are not about
// passphrases need not wait for what makes guessing them slow.
var keyVariables = []string{"DEV", "KEY2", "KEY3", "KEY4", "KEY5"}

// setKeys sets the variables, and writes a private key and a public one.
func setKeys(env *testscript.Env) error {
	for _, variable := range keyVariables {
		private, _, err := newPEM()
		if err != nil {
			return err
		}
		env.Setenv(variable, string(private))
	}
	private, public, err := newPEM()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(env.WorkDir, "plain.pem"), private, 0o600),
		os.WriteFile(filepath.Join(env.WorkDir, "there.pub"), public, 0o600),
	)
}

// newPEM makes a private key and the public half of another.
func newPEM() (private, public []byte, err error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(other)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), err
}

// cmdWorkspace is "workspace DIR REPOSITORY": a workspace of the profile dev
// whose key is that of $DEV.
func (s *story) cmdWorkspace(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "workspace DIR REPOSITORY")
	line := []string{"-C", args[0], "init", args[1], "--profile", "dev", "-y"}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		line = append(line, "--key", role+"=env:DEV")
	}
	ts.Check(ts.Exec("tufoci", line...))
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

// cmdLockSync is "locksync FILE STATE": another schedule is at the mirrors of a file
// for the rest of the script.
func (s *story) cmdLockSync(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "locksync FILE STATE")
	c, err := mirror.ReadConfig(ts.MkAbs(args[0]))
	ts.Check(err)
	unlock, err := c.Lock(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Defer(func() { _ = unlock() })
}
