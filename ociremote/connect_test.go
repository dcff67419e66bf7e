package ociremote

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A server that takes a connection and says nothing has no time for TLS; one that is
// slow to answer has longer than that.
func TestConnect(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const within = 500 * time.Millisecond // a busy machine needs some of it
	client, err := NewClient(Options{Connect: within, CAFile: "", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	resp, err := client.HTTP().Get("https://" + silent.Addr().String())
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no connection within 500ms") {
		t.Errorf("error %v", err)
	}
	if spent := time.Since(begin); spent > 5*time.Second {
		t.Errorf("it took %v", spent)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * within)
		_, _ = w.Write([]byte("late"))
	}))
	defer slow.Close()
	for range 2 { // by a new connection, and by one that is there
		resp, err := client.HTTP().Get(slow.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || string(body) != "late" {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// A server that takes a request and says nothing is given up, though it is connected
// to; one that has begun to answer is not.
func TestConnectWithoutAnswer(t *testing.T) {
	t.Parallel()
	const answers = 200 * time.Millisecond
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-over
			return
		}
		_, _ = w.Write([]byte("sl"))
		w.(http.Flusher).Flush()
		time.Sleep(2 * answers)
		_, _ = w.Write([]byte("ow"))
	}))
	defer server.Close()
	defer close(over)
	client := &http.Client{Transport: &connector{http.DefaultTransport, time.Minute, answers}}
	begin := time.Now()
	resp, err := client.Get(server.URL + "/silent")
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("error %v", err)
	}
	if spent := time.Since(begin); spent > 20*time.Second {
		t.Errorf("it took %v", spent)
	}
	if resp, err = client.Get(server.URL + "/slow"); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "slow" {
		t.Errorf("%q, %v", body, err)
	}
}

// No try begins after the time to connect is over.
func TestConnectBoundsRetries(t *testing.T) {
	t.Parallel()
	for within, want := range map[time.Duration]int{0: 6, 3 * time.Second: 3} {
		s := &script{answers: []func() (*http.Response, error){status(503)}}
		now := testTime
		r := newRetrier(s, Options{Retries: 5, RetryWait: 2 * time.Second, Connect: within})
		r.now = func() time.Time { return now }
		r.sleep = func(_ context.Context, d time.Duration) error {
			now = now.Add(min(d, 1400*time.Millisecond))
			return nil
		}
		req := httptest.NewRequest(http.MethodGet, "http://reg/", nil)
		resp, err := r.RoundTrip(req)
		if err != nil || resp.StatusCode != 503 {
			t.Fatal(err)
		}
		if within == 0 && s.n != want || within > 0 && s.n > want {
			t.Errorf("within %v: %d tries, want %d", within, s.n, want)
		}
	}
}
