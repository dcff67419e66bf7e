package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tufoci/tufoci/metadata"
)

// need ends a test for want of a program: skipped on a desk, failed in CI.
func need(t *testing.T, what string) string {
	t.Helper()
	file, err := exec.LookPath(what)
	if err == nil {
		return file
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: the Debian package openssh-client has it", what)
	}
	t.Skipf("%s is missing: the Debian package openssh-client has it", what)
	return ""
}

// startAgent runs a real ssh-agent with a few keys, and returns its socket.
func startAgent(t *testing.T, keys ...crypto.Signer) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	command := exec.CommandContext(t.Context(), need(t, "ssh-agent"), "-D", "-a", socket)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	conn, err := dialSoon(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	for i, key := range keys {
		if err := client.Add(agent.AddedKey{PrivateKey: key, Comment: fmt.Sprintf("key %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	return socket
}

// dialSoon connects to a process that is starting.
func dialSoon(socket string) (conn net.Conn, err error) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if conn, err = net.Dial("unix", socket); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func agentURI(t *testing.T, key crypto.Signer) string {
	t.Helper()
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return agentScheme + ssh.FingerprintSHA256(public)
}

func TestAgent(t *testing.T) {
	t.Parallel()
	keys := map[metadata.KeyType]crypto.Signer{}
	var all []crypto.Signer
	for _, kind := range append(keyTypes, "other") {
		make := kind
		if kind == "other" {
			make = metadata.KeyEd25519
		}
		key := generate(t, make)
		keys[kind] = key
		if kind != "other" {
			all = append(all, key)
		}
	}
	socket := startAgent(t, all...)
	o := New(t.Context(), Options{Env: func(name string) (string, bool) { return socket, name == "SSH_AUTH_SOCK" }})
	for _, kind := range keyTypes[:3] {
		uri := agentURI(t, keys[kind])
		signer, err := o.OpenKey("k", uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := metadata.PublicKey(keys[kind].Public())
		if err != nil || signer.Key().Value.PublicKey != want.Value.PublicKey || !o.HasKey(uri, want) {
			t.Fatalf("%s: another key, or not at hand: %v", kind, err)
		}
		for range 8 { // r and s have leading zeros at times
			sig, err := signer.Sign(t.Context(), []byte("payload"))
			if err != nil {
				t.Fatal(err)
			}
			if err := metadata.VerifySignature(want, []byte("payload"), sig); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	// RSA is refused with the reason, whether its public half is known or not.
	rsa := agentURI(t, keys[metadata.KeyRSA3072])
	public, err := metadata.PublicKey(keys[metadata.KeyRSA3072].Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.OpenKey("k", rsa, nil); !errors.Is(err, metadata.ErrKey) || !strings.Contains(err.Error(), "PKCS#1 v1.5") {
		t.Errorf("RSA: %v", err)
	}
	signer, err := o.OpenKey("k", rsa, public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(t.Context(), nil); !errors.Is(err, metadata.ErrKey) {
		t.Errorf("RSA, known: %v", err)
	}
	// A key that it does not hold: what it has is said.
	other := agentURI(t, keys["other"])
	if o.HasKey(other, nil) {
		t.Error("a key that the agent does not have is at hand")
	}
	if _, err := o.OpenKey("k", other, nil); !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), agentURI(t, keys[metadata.KeyEd25519])[len(agentScheme):]+" key 0") {
		t.Errorf("%v", err)
	}
	if _, err := o.CreateKey("k", other, ""); !errors.Is(err, metadata.ErrInvalid) || !strings.Contains(err.Error(), "ssh-keygen") {
		t.Errorf("%v", err)
	}
}

func TestNoAgent(t *testing.T) {
	t.Parallel()
	uri := agentScheme + "SHA256:" + strings.Repeat("A", 43)
	for socket, want := range map[string]string{"": "SSH_AUTH_SOCK is not set", "/nothing/here": "does not answer"} {
		o := New(t.Context(), Options{Env: func(string) (string, bool) { return socket, true }})
		if _, err := o.OpenKey("k", uri, nil); !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", socket, err)
		}
		if o.HasKey(uri, nil) {
			t.Error("at hand without an agent")
		}
	}
	for _, uri := range []string{"ssh-agent:comment", "ssh-agent:SHA256:short", "ssh-agent:MD5:" + strings.Repeat("A", 43)} {
		if _, err := New(t.Context(), Options{}).OpenKey("k", uri, nil); !errors.Is(err, metadata.ErrInvalid) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

var errGone = errors.New("the command has ended")

// An agent that never answers holds nobody up for longer than the command lasts.
func TestAgentThatHangs(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o := New(ctx, Options{Env: func(string) (string, bool) { return listener.Addr().String(), true }})
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1)) // the question has come
		cancel(errGone)
		_, _ = conn.Read(make([]byte, 1<<10))
		_, _ = conn.Read(make([]byte, 1<<10)) // until the other side closes
	}()
	if _, err := o.OpenKey("k", agentScheme+"SHA256:"+strings.Repeat("A", 43), nil); !errors.Is(err, errGone) {
		t.Errorf("%v", err)
	}
}
