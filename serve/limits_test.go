package serve

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// No connection lasts for ever, whatever its client does or does not do.
func TestServerTimes(t *testing.T) {
	t.Parallel()
	s := newServer(http.NotFoundHandler(), RunOptions{})
	for name, limit := range map[string]time.Duration{"read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s: %s", name, limit)
		}
	}
}

// timed notes until when it may be written to.
type timed struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *timed) SetWriteDeadline(until time.Time) error {
	w.until = until
	return nil
}

// A large file has the time that it takes at the least rate, and no more.
func TestClientsHaveALeastRate(t *testing.T) {
	t.Parallel()
	h := &Handler{}
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	before := time.Now()
	h.send(w, httptest.NewRequest("GET", "/", nil), &file{title: "targets/large", data: make([]byte, 20*minRate)})
	if least := before.Add(writeTime + 20*time.Second); w.until.Before(least) || w.until.After(least.Add(time.Minute)) {
		t.Errorf("until %s after it began", w.until.Sub(before))
	}
}

// What is being sent takes room until it is sent; who waits for room goes on then, or
// gives up.
func TestRoomIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMemory(t.Context(), 100, time.Now)
	t.Cleanup(m.close)
	sized := func(name string, size int64) *file {
		return &file{title: name, digest: name, size: size, read: func(context.Context) ([]byte, error) { return make([]byte, size), nil }}
	}
	_, release, err := m.get(t.Context(), sized("a", 60))
	if err != nil {
		t.Fatal(err)
	}
	short, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer end()
	if _, _, err := m.get(short, sized("b", 60)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	got := make(chan error)
	go func() {
		_, release, err := m.get(t.Context(), sized("b", 60))
		if err == nil {
			release()
		}
		got <- err
	}()
	if _, again, err := m.get(t.Context(), sized("a", 60)); err != nil { // it is there already
		t.Error(err)
	} else {
		again()
	}
	release()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
