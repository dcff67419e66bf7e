package upkeep_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/upkeep"
)

const day = 24 * time.Hour

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	errDown = errors.New("connection refused")
)

// role ends so long after start. ours: the keys at hand can renew it.
func role(name string, left, period time.Duration, ours bool) metadata.RoleLife {
	rule := metadata.SignatureRule{Need: 1}
	if ours {
		rule.Have = 1
	}
	return metadata.RoleLife{Role: name, Version: 1, Expires: start.Add(left), Period: period, Rules: []metadata.SignatureRule{rule}}
}

// world is a clock that nobody waits for: Wait sets it.
type world struct {
	now    time.Time
	begun  []time.Duration // the runs, since start
	report []upkeep.Report
}

// play lets a loop make as many runs as there are steps, and returns it.
func (w *world) play(t *testing.T, o upkeep.Options, steps ...upkeep.Run) (*upkeep.Loop, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.now = start
	o.Now = func() time.Time { return w.now }
	o.Wait = func(ctx context.Context, until time.Time) error {
		if ctx.Err() == nil {
			w.now = until
		}
		return ctx.Err()
	}
	o.OnRun = func(r upkeep.Report) {
		w.report = append(w.report, r)
		if len(steps) == 0 {
			cancel()
		}
	}
	loop := upkeep.New(func(ctx context.Context) (*upkeep.Outcome, error) {
		w.begun = append(w.begun, w.now.Sub(start))
		run := steps[0]
		steps = steps[1:]
		return run(ctx)
	}, o)
	return loop, loop.Run(ctx)
}

func down(context.Context) (*upkeep.Outcome, error) { return nil, errDown }

func finds(roles ...metadata.RoleLife) upkeep.Run {
	return func(context.Context) (*upkeep.Outcome, error) { return &upkeep.Outcome{Roles: roles}, nil }
}

// When the runs are: never later than Every or than what ends needs.
func TestSchedule(t *testing.T) {
	t.Parallel()
	fine := finds(role("timestamp", 100*day, 7*day, true))
	for name, tt := range map[string]struct {
		o     upkeep.Options
		steps []upkeep.Run
		want  []time.Duration
	}{
		"nothing happens": {upkeep.Options{Every: time.Hour}, []upkeep.Run{fine, fine, fine}, []time.Duration{0, time.Hour, 2 * time.Hour}},
		"failures, doubled up to every, and back": {
			upkeep.Options{Every: 5 * time.Minute},
			[]upkeep.Run{down, down, down, down, down, fine, fine, down, fine},
			[]time.Duration{0, 1 * time.Minute, 3 * time.Minute, 7 * time.Minute, 12 * time.Minute, 17 * time.Minute, 22 * time.Minute, 27 * time.Minute, 28 * time.Minute},
		},
		"failures, doubled up to an hour": {
			upkeep.Options{Every: day},
			[]upkeep.Run{down, down, down, down, down, down, down, down, down},
			[]time.Duration{0, 1 * time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute, 31 * time.Minute, 63 * time.Minute, 123 * time.Minute, 183 * time.Minute},
		},
		"retry is not above every": {upkeep.Options{Every: 10 * time.Second}, []upkeep.Run{down, down}, []time.Duration{0, 10 * time.Second}},
		"a copy that failed": {
			upkeep.Options{Every: time.Hour},
			[]upkeep.Run{func(context.Context) (*upkeep.Outcome, error) { return &upkeep.Outcome{}, errDown }, fine},
			[]time.Duration{0, time.Minute},
		},
		"earlier than what ends": {
			upkeep.Options{Every: 30 * day},
			[]upkeep.Run{finds(role("timestamp", 7*day, 7*day, true), role("targets", 60*day, 180*day, true)), fine},
			[]time.Duration{0, 7 * day / 3},
		},
		"what others renew, and root, cause no haste": {
			upkeep.Options{Every: day},
			[]upkeep.Run{finds(role("targets", time.Hour, 180*day, false), role("root", time.Hour, 365*day, true)), fine},
			[]time.Duration{0, day},
		},
		"in an outage what ends comes before the backoff": {
			upkeep.Options{Every: day, Retry: 20 * time.Minute},
			[]upkeep.Run{finds(role("timestamp", 90*time.Minute, 7*day, true)), down, down, down},
			[]time.Duration{0, 30 * time.Minute, 50 * time.Minute, 70 * time.Minute},
		},
		"what has ended is not asked for without end": {
			upkeep.Options{Every: day},
			[]upkeep.Run{finds(role("timestamp", -time.Hour, 7*day, true)), down, down},
			[]time.Duration{0, time.Minute, 2 * time.Minute},
		},
		"jitter makes it earlier, never later": {
			upkeep.Options{Every: time.Hour, Jitter: 0.5, Random: func() float64 { return 0.5 }},
			[]upkeep.Run{fine, fine},
			[]time.Duration{0, 45 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w world
			if _, err := w.play(t, tt.o, tt.steps...); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			if !slices.Equal(w.begun, tt.want) {
				t.Errorf("runs at %v, want %v", w.begun, tt.want)
			}
		})
	}
}

// Only the first run can end a loop, and only by what Fatal names.
func TestFatal(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong key")
	badly := func(context.Context) (*upkeep.Outcome, error) { return nil, wrong }
	o := upkeep.Options{Every: time.Hour, Fatal: func(err error) bool { return errors.Is(err, wrong) }}
	var w world
	if _, err := w.play(t, o, badly, badly); !errors.Is(err, wrong) || len(w.begun) != 1 {
		t.Errorf("%d runs, ended with %v", len(w.begun), err)
	}
	w = world{}
	if _, err := w.play(t, o, down, badly, badly); !errors.Is(err, context.Canceled) || len(w.begun) != 3 {
		t.Errorf("%d runs, ended with %v", len(w.begun), err)
	}
	if r := w.report[2]; !errors.Is(r.Err, wrong) || r.Failures != 3 {
		t.Errorf("report %+v", r)
	}
}

// Keys that do not sign the timestamp are found long before it is due.
func TestKeysLacking(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"timestamp", "snapshot"} {
		var w world
		loop, _ := w.play(t, upkeep.Options{Every: time.Hour}, finds(role(name, 7*day, 7*day, false)))
		if r := w.report[0]; !errors.Is(r.Err, metadata.ErrKeyMissing) || r.Outcome != nil || !strings.Contains(r.Err.Error(), name+" v1") {
			t.Errorf("report %+v", r)
		}
		if err := loop.Health(); !errors.Is(err, metadata.ErrKeyMissing) {
			t.Errorf("health %v", err)
		}
	}
}

// What makes a loop unhealthy, and what does not.
func TestHealth(t *testing.T) {
	t.Parallel()
	timestamp := role("timestamp", 7*day, 7*day, true)
	copied := func(c upkeep.Copy) upkeep.Run {
		return func(context.Context) (*upkeep.Outcome, error) {
			return &upkeep.Outcome{Roles: []metadata.RoleLife{timestamp}, Copies: []upkeep.Copy{c}}, c.Err
		}
	}
	good := upkeep.Copy{Name: "reg/shop", Version: 1, Expires: start.Add(7 * time.Hour)}
	bad := upkeep.Copy{Name: "reg/shop", Err: errDown}
	for name, tt := range map[string]struct {
		steps []upkeep.Run
		later time.Duration // after the last run
		want  string        // "": healthy
	}{
		"fine":                             {[]upkeep.Run{finds(timestamp)}, 0, ""},
		"one failure":                      {[]upkeep.Run{finds(timestamp), down}, 0, ""},
		"never a success":                  {[]upkeep.Run{down}, 0, "no run has succeeded yet: connection refused"},
		"too old":                          {[]upkeep.Run{finds(timestamp), down}, 3 * time.Hour, "the last run that succeeded was 4h0m0s ago: connection refused"},
		"not too old":                      {[]upkeep.Run{finds(timestamp)}, 3 * time.Hour, ""},
		"expired":                          {[]upkeep.Run{finds(role("timestamp", 0, 7*day, true))}, 0, "timestamp v1 has expired"},
		"about to expire":                  {[]upkeep.Run{finds(role("timestamp", 2*time.Hour-time.Second, 7*day, true))}, 0, "timestamp v1 expires in 1h59m59s"},
		"two runs are left":                {[]upkeep.Run{finds(role("timestamp", 2*time.Hour, 7*day, true))}, 0, ""},
		"a life shorter than that":         {[]upkeep.Run{finds(role("timestamp", time.Hour, 4*time.Hour, true))}, 0, ""},
		"targets of people":                {[]upkeep.Run{finds(timestamp, role("targets", time.Hour, 180*day, false))}, 0, "targets v1 expires in 1h"},
		"the root":                         {[]upkeep.Run{finds(timestamp, role("root", -time.Hour, 365*day, false))}, 0, "root v1 has expired"},
		"a team's role":                    {[]upkeep.Run{finds(timestamp, role("team", -time.Hour, 180*day, false))}, 0, ""},
		"a bin of ours":                    {[]upkeep.Run{finds(timestamp, role("bin-0", time.Hour, 30*day, true))}, 0, "bin-0 v1 expires in 1h"},
		"a copy":                           {[]upkeep.Run{copied(good)}, 0, ""},
		"a copy that failed once":          {[]upkeep.Run{copied(good), copied(bad)}, 0, ""},
		"a copy about to expire":           {[]upkeep.Run{copied(good), copied(bad)}, 2*time.Hour + time.Minute, ""},
		"a copy that was never there":      {[]upkeep.Run{copied(bad)}, 0, ""},
		"a copy that could not be written": {[]upkeep.Run{copied(bad), copied(bad), copied(bad)}, 3 * time.Hour, "the copy beside reg/shop could not be written for 3h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w world
			loop, _ := w.play(t, upkeep.Options{Every: time.Hour}, tt.steps...)
			w.now = w.now.Add(tt.later)
			err := loop.Health()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("health %v, want %q", err, tt.want)
			}
		})
	}

	// Runs go on, the copy alone fails: what was written last is about to end.
	var w world
	steps := []upkeep.Run{copied(good)}
	for range 10 {
		steps = append(steps, copied(bad))
	}
	loop, _ := w.play(t, upkeep.Options{Every: time.Hour}, steps...)
	if err := loop.Health(); !errors.Is(err, errDown) || !strings.HasPrefix(err.Error(), "the copy beside reg/shop expires in ") {
		t.Errorf("at %s: health %v", w.now.Sub(start), err)
	}
}

// All metrics, and that the page of health says why.
func TestHandler(t *testing.T) {
	t.Parallel()
	run := func(context.Context) (*upkeep.Outcome, error) {
		return &upkeep.Outcome{
			Roles:     []metadata.RoleLife{role("timestamp", 7*day, 7*day, true), role("ro\xffle\"\n", day, 180*day, false)},
			Waiting:   []metadata.WaitingRole{{Role: "ro\xffle\"\n"}},
			Copies:    []upkeep.Copy{{Name: "reg/a", Version: 4, Expires: start.Add(day)}, {Name: "reg/b", Err: errDown}},
			Proposals: 2, Keys: 1,
		}, errDown
	}
	var w world
	loop, _ := w.play(t, upkeep.Options{Every: time.Hour, Repository: "reg/trust:tuf"}, down, run)
	page := func(name string) (int, string) {
		answer := httptest.NewRecorder()
		loop.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, name, nil))
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Code, string(body)
	}
	_, metrics := page("/metrics")
	for _, want := range []string{
		`tufoci_refresh_runs_total{repository="reg/trust:tuf"} 2`,
		`tufoci_refresh_failures_total{repository="reg/trust:tuf"} 2`,
		`tufoci_refresh_proposals_total{repository="reg/trust:tuf"} 2`,
		`tufoci_refresh_healthy{repository="reg/trust:tuf"} 1`,
		`tufoci_refresh_last_success_timestamp_seconds{repository="reg/trust:tuf"} 1.76722566e+09`,
		`tufoci_refresh_next_run_timestamp_seconds{repository="reg/trust:tuf"} 1.76722578e+09`,
		`tufoci_refresh_keys{repository="reg/trust:tuf"} 1`,
		`tufoci_refresh_role_version{repository="reg/trust:tuf",role="timestamp"} 1`,
		`tufoci_refresh_role_expires_timestamp_seconds{repository="reg/trust:tuf",role="timestamp"} 1.7678304e+09`,
		`tufoci_refresh_role_renewable{repository="reg/trust:tuf",role="timestamp"} 1`,
		`tufoci_refresh_role_waiting{repository="reg/trust:tuf",role="timestamp"} 0`,
		`tufoci_refresh_role_waiting{repository="reg/trust:tuf",role="ro` + "\uFFFD" + `le\"\n"} 1`,
		`tufoci_refresh_copy_version{copy="reg/a",repository="reg/trust:tuf"} 4`,
		`tufoci_refresh_copy_expires_timestamp_seconds{copy="reg/a",repository="reg/trust:tuf"} 1.767312e+09`,
		`tufoci_refresh_copy_failed{copy="reg/b",repository="reg/trust:tuf"} 1`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if code, body := page("/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz %d %q", code, body)
	}
	w.now = w.now.Add(day)
	if code, body := page("/healthz"); code != http.StatusServiceUnavailable || !strings.HasPrefix(body, "the last run that succeeded was 24h0m0s ago") {
		t.Errorf("healthz %d %q", code, body)
	}
	if code, _ := page("/"); code != http.StatusNotFound {
		t.Errorf("another page: %d", code)
	}
}

// A run that is under way when the loop is ended is let end, within its grace.
func TestGrace(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]error{10 * time.Second: nil, time.Hour: context.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var got error
			loop := upkeep.New(func(ctx context.Context) (*upkeep.Outcome, error) {
				cancel()
				select {
				case <-ctx.Done():
				case <-time.After(takes):
				}
				return &upkeep.Outcome{}, ctx.Err()
			}, upkeep.Options{Every: time.Hour, OnRun: func(r upkeep.Report) { got = r.Err }})
			begun := time.Now()
			if err := loop.Run(ctx); !errors.Is(err, context.Canceled) || !errors.Is(got, want) {
				t.Errorf("the loop ended with %v, the run with %v", err, got)
			}
			if took := time.Since(begun); took > min(takes, 20*time.Second) {
				t.Errorf("a run of %s was over after %s", takes, took)
			}
		})
	}
}

// The loop keeps to the clock of the world: a machine that was suspended is late by a
// minute at most, and says so; a clock that is set back stops nothing.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		jump time.Duration
		took time.Duration // from one run to the next, by another clock
		late time.Duration
	}{
		"ahead": {10 * time.Hour, 31 * time.Minute, 9*time.Hour + 31*time.Minute},
		"back":  {-10 * time.Hour, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var jumped atomic.Int64 // nanoseconds
				var runs []time.Time
				var late time.Duration
				loop := upkeep.New(func(context.Context) (*upkeep.Outcome, error) {
					if runs = append(runs, time.Now()); len(runs) == 2 {
						cancel()
					} else {
						time.AfterFunc(30*time.Minute+30*time.Second, func() { jumped.Store(int64(tt.jump)) })
					}
					return &upkeep.Outcome{}, nil
				}, upkeep.Options{
					Every: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) },
					OnRun: func(r upkeep.Report) { late = r.Late },
				})
				if err := loop.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if took := runs[1].Sub(runs[0]); took != tt.took || late != tt.late {
					t.Errorf("the next run came after %s, %s late; want %s and %s", took, late, tt.took, tt.late)
				}
			})
		})
	}
}
