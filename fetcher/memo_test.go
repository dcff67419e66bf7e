package fetcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

func TestMemoReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo
		reads := 0
		proceed := make(chan struct{})
		read := func() ([]byte, error) {
			reads++
			<-proceed
			return []byte("data"), nil
		}
		for range 3 {
			go func() {
				if data, err := m.do(t.Context(), "a", read); string(data) != "data" || err != nil {
					t.Errorf("%q, %v", data, err)
				}
			}()
		}
		synctest.Wait()
		close(proceed)
		synctest.Wait()
		if _, err := m.do(t.Context(), "a", read); err != nil || reads != 1 {
			t.Errorf("%d reads, %v", reads, err)
		}
	})
}

// All who wait hear of a failure, and whoever asks later tries again.
func TestMemoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo
		failure := errors.New("failure")
		reads := 0
		proceed := make(chan struct{})
		read := func() ([]byte, error) {
			reads++
			<-proceed
			return nil, failure
		}
		for range 3 {
			go func() {
				if _, err := m.do(t.Context(), "a", read); !errors.Is(err, failure) {
					t.Errorf("%v", err)
				}
			}()
		}
		synctest.Wait()
		close(proceed)
		synctest.Wait()
		if reads != 1 {
			t.Errorf("%d reads for callers at the same time", reads)
		}
		if _, err := m.do(t.Context(), "a", func() ([]byte, error) { return []byte("data"), nil }); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// A caller that gives up does not fail the others.
func TestMemoCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := m.do(ctx, "a", func() ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }); err == nil {
				t.Error("no error for the one who gave up")
			}
		}()
		synctest.Wait()
		go func() {
			data, err := m.do(t.Context(), "a", func() ([]byte, error) { return []byte("data"), nil })
			if string(data) != "data" || err != nil {
				t.Errorf("%q, %v", data, err)
			}
		}()
		waiting, stop := context.WithCancel(t.Context())
		go func() {
			if _, err := m.do(waiting, "a", nil); !errors.Is(err, context.Canceled) {
				t.Errorf("waiting: %v", err)
			}
		}()
		synctest.Wait()
		stop()
		synctest.Wait()
		cancel()
		synctest.Wait()
	})
}

// What was read ahead in vain fails the one who asks, without another read, and
// only that one.
func TestMemoAhead(t *testing.T) {
	t.Parallel()
	var m memo
	failure := errors.New("failure")
	e, _ := m.start("a", 1)
	if e == nil {
		t.Fatal("not started")
	}
	if again, _ := m.start("a", 1); again != nil {
		t.Error("started twice")
	}
	m.fill(t.Context(), e, func() ([]byte, error) { return nil, failure })
	read := func() ([]byte, error) { return []byte("data"), nil }
	if _, err := m.do(t.Context(), "a", read); !errors.Is(err, failure) {
		t.Errorf("first: %v", err)
	}
	if data, err := m.do(t.Context(), "a", read); string(data) != "data" || err != nil {
		t.Errorf("second: %q, %v", data, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, _ = m.start("b", 1)
	m.fill(ctx, e, func() ([]byte, error) { return nil, ctx.Err() })
	if data, err := m.do(t.Context(), "b", read); string(data) != "data" || err != nil {
		t.Errorf("after a cancelled read ahead: %q, %v", data, err)
	}
}

// What was read ahead and nobody asked for goes with the view that it was read for: a
// source could make each of many views leave some.
func TestMemoKeepsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	var m, next memo
	for _, key := range []string{"asked for", "left"} {
		e, _ := m.start(key, 4)
		m.fill(t.Context(), e, func() ([]byte, error) { return []byte("data"), nil })
	}
	if _, err := m.do(t.Context(), "asked for", nil); err != nil {
		t.Fatal(err)
	}
	m.keep(&next, func(string) bool { return true })
	if _, kept := next.entries["asked for"]; !kept || len(next.entries) != 1 {
		t.Errorf("%d entries were kept", len(next.entries))
	}
}

func TestMemoPanic(t *testing.T) {
	t.Parallel()
	var m memo
	func() {
		defer func() { _ = recover() }()
		_, _ = m.do(t.Context(), "a", func() ([]byte, error) { panic("local store") })
	}()
	if _, err := m.do(t.Context(), "a", nil); !errors.Is(err, errNotRead) {
		t.Errorf("%v", err)
	}
}

// What waits to be read ahead waits once, however often it is announced.
func TestReadAheadQueuesAFileOnce(t *testing.T) {
	t.Parallel()
	var files []aheadFile
	for i := range byte(3) {
		files = append(files, aheadFile{ctx: t.Context(), file: ociremote.File{Descriptor: ocispec.Descriptor{Digest: digest.FromBytes([]byte{i})}}})
	}
	a := &ahead{queued: map[string]bool{}} // which reads none
	for i := range files {
		a.add(files[i:])
	}
	if len(a.queue) != len(files) {
		t.Errorf("%d are queued, there are %d", len(a.queue), len(files))
	}
}
