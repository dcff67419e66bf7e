package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// What clients make a server say is printed, and fills no memory.
func TestServePassesWarnings(t *testing.T) {
	t.Parallel()
	var stderr tuftest.Console
	a := &app{world: World{Stderr: &stderr}}
	a.warn("kept")
	if kept := a.warned(); len(kept) != 1 {
		t.Errorf("%q", kept)
	}
	a.passWarnings()
	a.warn("printed")
	if kept := a.warned(); len(kept) > 0 || !strings.Contains(stderr.String(), "printed") {
		t.Errorf("%q are kept; printed: %s", kept, stderr.String())
	}
}

// It serves https, follows, says what fails, and a signal ends it with 0.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	pool, certificate, key := selfSigned(t)
	var stdout, stderr tuftest.Console
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	line := []string{"serve", "acme", "--plain-http", "--listen", "127.0.0.1:0", "--interval", "1s", "--tls-cert", certificate, "--tls-key", key}
	go func() { ended <- w.run(ctx, &stdout, &stderr, line...) }()
	eventually(t, "it serves", func() bool { return servedURL.MatchString(stdout.String()) })
	url := servedURL.FindString(stdout.String())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	get := func(path string) int {
		r, err := (&http.Client{Transport: transport}).Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.ProtoMajor != 2 {
			t.Errorf("%s", r.Proto)
		}
		return r.StatusCode
	}
	if code := get("/1.root.json"); code != 200 {
		t.Errorf("status %d", code)
	}
	w.publish()
	eventually(t, "it follows", func() bool { return get("/3.snapshot.json") == 200 })
	w.registry.KillAt(1, 0)
	eventually(t, "it says what fails", func() bool { return strings.Contains(stderr.String(), "WARNING: ") && get("/healthz") == 200 })
	w.setAhead(2 * time.Hour)
	if code := get("/timestamp.json"); code != 503 {
		t.Errorf("expired: status %d", code)
	}
	interrupt()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("exit %d\n%s", code, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) (pool *x509.CertPool, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), "file.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pool = x509.NewCertPool()
	certificate, key = write("CERTIFICATE", der), write("PRIVATE KEY", pkcs8)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool, certificate, key
}
