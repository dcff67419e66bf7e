//go:build e2e

package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/upkeep"
)

const day = 24 * time.Hour

// year is a simulated time in which somebody does something now and then; between
// that, nothing takes any time.
type year struct {
	t        *testing.T
	start    time.Time
	passed   atomic.Int64 // since start, in nanoseconds
	due      []appointment
	registry *tuftest.Registry
	faults   *faults
	keys     map[string]string // PEM by environment variable
	home     string            // the workspace
	root     []byte
}

// appointment is something that is done at a time.
type appointment struct {
	at time.Duration
	do func()
}

func newYear(t *testing.T) *year {
	t.Helper()
	y := &year{t: t, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), keys: map[string]string{}, home: filepath.Join(t.TempDir(), "workspace")}
	y.registry = tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	y.faults = &faults{year: y, random: rand.New(rand.NewPCG(5, 5))}
	y.registry.Intercept(y.faults.serve)
	return y
}

// at makes an appointment, after those of the same time.
func (y *year) at(when time.Duration, do func()) {
	n, _ := slices.BinarySearchFunc(y.due, when, func(a appointment, when time.Duration) int {
		if a.at <= when {
			return -1
		}
		return 1
	})
	y.due = slices.Insert(y.due, n, appointment{when, do})
}

// each does something again and again.
func (y *year) each(from, every time.Duration, do func()) {
	y.at(from, func() {
		do()
		y.each(from+every, every, do)
	})
}

// live goes from one appointment to the next.
func (y *year) live(until time.Duration) {
	for len(y.due) > 0 && y.due[0].at <= until {
		next := y.due[0]
		y.due = y.due[1:]
		y.passed.Store(int64(next.at))
		next.do()
	}
}

func (y *year) since() time.Duration { return time.Duration(y.passed.Load()) }
func (y *year) now() time.Time       { return y.start.Add(y.since()) }

// when is a time for people.
func (y *year) when() string { return fmt.Sprintf("day %.2f", y.since().Hours()/24) }

// faults lets one request in twenty fail, and all of them while the registry is away.
type faults struct {
	year     *year
	from, to time.Duration // of the outage

	mu       sync.Mutex
	random   *rand.Rand
	requests int
	failed   int
}

func (f *faults) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	f.mu.Lock()
	kind := f.random.IntN(60) // 0, 1 and 2 are the one in twenty
	if now := f.year.since(); f.from <= now && now < f.to {
		kind = 0
	} else {
		f.requests++
		if kind < 3 {
			f.failed++
		}
	}
	f.mu.Unlock()
	switch kind {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 1: // the connection is lost
		panic(http.ErrAbortHandler)
	case 2: // it is done, and the answer is lost
		next.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusBadGateway)
	default:
		next.ServeHTTP(w, r)
	}
}

// remote opens a repository, without the retries of a client: each failure is to be
// seen.
func (y *year) remote(repository string) ociremote.WritableRepository {
	y.t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, Retries: -1, RegistryConfig: filepath.Join(y.t.TempDir(), "config.json")})
	if err != nil {
		y.t.Fatal(err)
	}
	repo, err := client.Repository(y.t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: y.registry.Host(), Repository: repository, Tag: "tuf"}, true)
	if err != nil {
		y.t.Fatal(err)
	}
	return repo.(ociremote.WritableRepository)
}

// env has the private keys of the holders named: ONLINE, ROOT_A.
func (y *year) env(holders ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if !slices.Contains(holders, name) {
			return "", false
		}
		if y.keys[name] == "" {
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				y.t.Fatal(err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				y.t.Fatal(err)
			}
			y.keys[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		}
		return y.keys[name], true
	}
}

// work opens the workspace in dir with the keys of some holders.
func (y *year) work(dir string, holders []string, do func(ws *metadata.Workspace) error) error {
	ws, err := metadata.Open(dir, metadata.OpenOptions{Now: y.now, Env: y.env(holders...)})
	if err != nil {
		return err
	}
	return errors.Join(do(ws), ws.Close())
}

// stage edits the workspace, which must work.
func (y *year) stage(holders []string, do func(ws *metadata.Workspace) error) {
	y.t.Helper()
	if err := y.work(y.home, holders, do); err != nil {
		y.t.Fatalf("%s: %v", y.when(), err)
	}
}

// signsAway lets a holder sign a role in a copy of the workspace that has no other key,
// and brings the file back.
func (y *year) signsAway(holder, role string) {
	y.t.Helper()
	away := filepath.Join(y.t.TempDir(), "workspace")
	if err := os.CopyFS(away, os.DirFS(y.home)); err != nil {
		y.t.Fatal(err)
	}
	err := y.work(away, []string{holder}, func(ws *metadata.Workspace) error {
		_, err := ws.Sign(y.t.Context(), []string{role}, nil)
		return err
	})
	if err != nil {
		y.t.Fatalf("%s: %s signs: %v", y.when(), holder, err)
	}
	files, err := filepath.Glob(filepath.Join(away, ".tufoci", "staged", "*."+role+".json"))
	if err != nil || len(files) != 1 {
		y.t.Fatalf("%s: files %v (error %v)", y.when(), files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(y.home, ".tufoci", "staged", filepath.Base(files[0])), data, 0o600); err != nil {
		y.t.Fatal(err)
	}
}

// publishes publishes from the workspace, again each minute until that works, and then
// goes on with then.
func (y *year) publishes(holders []string, then func()) {
	var result *publish.Result
	err := y.work(y.home, holders, func(ws *metadata.Workspace) (err error) {
		result, err = publish.Publish(y.t.Context(), ws, y.remote(trustName), publish.Options{Now: y.now, Concurrency: 1})
		return err
	})
	switch {
	case err == nil:
		y.t.Logf("%s: published %s (root v%d, targets v%d)", y.when(), result.HistoryTag, result.Versions.Root, result.Versions.Targets)
		if y.root, err = os.ReadFile(filepath.Join(y.home, ".tufoci", "base", "1.root.json")); err != nil {
			y.t.Fatal(err)
		}
		if then != nil {
			then()
		}
	case trust.IsUnreachable(err):
		y.at(y.since()+time.Minute, func() { y.publishes(holders, then) })
	default:
		y.t.Fatalf("%s: publishing: %v", y.when(), err)
	}
}

const (
	trustName = "acme/trust"
	shopName  = "shop/api"
)

// service is a daemon that refreshes, and the copy next to images.
type service struct {
	year   *year
	loop   *upkeep.Loop
	repo   ociremote.WritableRepository
	copies []publish.BesideCopy
	seen   trust.Seen

	runs, failed, renewals int
	restarts               int

	stop   context.CancelFunc
	asleep chan time.Duration
	wake   chan struct{}
	ended  chan error
}

func (y *year) newService() *service {
	return &service{
		year: y, repo: y.remote(trustName),
		copies: []publish.BesideCopy{{Name: y.registry.Host() + "/" + shopName, Repository: y.remote(shopName), MountFrom: trustName}},
	}
}

// begin starts the daemon with the key of a holder.
func (s *service) begin(holder string) {
	y := s.year
	keys, err := metadata.OpenKeys([]string{"env:" + holder}, metadata.OpenKeysOptions{Env: y.env(holder)})
	if err != nil {
		y.t.Fatal(err)
	}
	s.asleep, s.wake, s.ended = make(chan time.Duration), make(chan struct{}), make(chan error, 1)
	s.loop = upkeep.New(func(ctx context.Context) (*upkeep.Outcome, error) { return s.refresh(ctx, keys) }, upkeep.Options{
		Every: daemonEvery, Jitter: 0.1, Random: rand.New(rand.NewPCG(7, 7)).Float64, Now: y.now,
		// As the command has it: a registry that is not there at the start is tried again.
		Fatal: func(err error) bool {
			return errors.Is(err, metadata.ErrKeyMissing) || errors.Is(err, trust.ErrWrongRoot)
		},
		OnRun:      s.count,
		Repository: trustName,
		Wait: func(ctx context.Context, until time.Time) error {
			select {
			case s.asleep <- until.Sub(y.start):
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case <-s.wake:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	ctx, stop := context.WithCancel(y.t.Context())
	s.stop = stop
	go func() { s.ended <- s.loop.Run(ctx) }()
	s.next(s.restarts)
}

// next waits until the daemon waits, and makes the appointment.
func (s *service) next(life int) {
	select {
	case err := <-s.ended:
		s.year.t.Fatalf("%s: the daemon ended: %v", s.year.when(), err)
	case due := <-s.asleep:
		s.year.at(due, func() {
			if s.restarts == life {
				s.wake <- struct{}{}
				s.next(life)
			}
		})
	}
}

// restart ends the daemon and starts it with another key.
func (s *service) restart(holder string) {
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		s.year.t.Errorf("%s: the daemon ended: %v", s.year.when(), err)
	}
	s.restarts++
	s.begin(holder)
}

func (s *service) refresh(ctx context.Context, keys []metadata.SigningKey) (*upkeep.Outcome, error) {
	result, err := publish.Refresh(ctx, s.year.root, s.repo, publish.RefreshOptions{
		Keys: keys, Seen: []trust.Seen{s.seen}, Now: s.year.now, Concurrency: 1,
	})
	if err != nil {
		return nil, err
	}
	s.seen = trust.Seen{Timestamp: result.Versions.Timestamp, Root: result.Versions.Root}
	if !result.Unchanged {
		s.renewals++
	}
	o := &upkeep.Outcome{Roles: result.Lives, Waiting: result.Waiting, Keys: len(keys)}
	for _, c := range publish.Beside(ctx, result.View, s.copies, publish.BesideOptions{Now: s.year.now}) {
		o.Copies = append(o.Copies, upkeep.Copy{Name: c.Name, Version: c.To, Expires: result.Expires["timestamp"], Err: c.Err})
		err = errors.Join(err, c.Err)
	}
	return o, err
}

func (s *service) count(r upkeep.Report) {
	s.runs++
	if r.Err == nil {
		return
	}
	s.failed++
	if !trust.IsUnreachable(r.Err) && !errors.Is(r.Err, metadata.ErrKeyMissing) {
		s.year.t.Errorf("%s: a run failed: %v", s.year.when(), r.Err)
	}
}

// monitor looks once a day, again each hour where the registry does not answer.
type monitor struct {
	year *year
	repo ociremote.Repository
	copy []publish.BesideCopy
	// alarms are the days with an alarm, by role, or copy.
	alarms map[string][]int
	looks  int
}

func (m *monitor) look() {
	y := m.year
	m.looks++
	health, err := publish.Monitor(y.t.Context(), y.root, m.repo, publish.MonitorOptions{
		Now:    y.now,
		Beside: func(context.Context, *trust.View) ([]publish.BesideCopy, error) { return m.copy, nil },
	})
	if err != nil {
		if !trust.IsUnreachable(err) {
			y.t.Errorf("%s: check: %v", y.when(), err)
		}
		y.at(y.since()+time.Hour, m.look)
		return
	}
	today := int(y.since() / day)
	for _, r := range health.Roles {
		if r.Short() {
			m.alarms[r.Role] = append(m.alarms[r.Role], today)
		}
	}
	for _, c := range health.Beside {
		if c.Lags {
			m.alarms["the copy"] = append(m.alarms["the copy"], today)
		}
	}
}

// spans writes days as ranges.
func spans(days []int) string {
	var parts []string
	for i := 0; i < len(days); {
		j := i
		for j+1 < len(days) && days[j+1] <= days[j]+1 {
			j++
		}
		parts = append(parts, fmt.Sprintf("%d-%d", days[i], days[j]))
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
