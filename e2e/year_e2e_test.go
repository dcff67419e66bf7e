//go:build e2e

package e2e

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/trust"
)

// The days on which something happens, in a repository of profile standard: targets
// lives for 180 days, and is due in the last 45 of them.
const (
	rotateOnline  = 60 * day       // a new key for snapshot and timestamp
	newKeyArrives = 40 * time.Hour // later the daemon gets it
	outage        = 100 * day
	outageEnds    = 103 * day
	holiday       = 130 * day // of the only one who signs targets
	holidayEnds   = 160 * day
	teamLapses    = 180 * day // a team has gone, and nobody signs for it
	ceremony      = 200 * day // one of three root keys is replaced
	rotateTargets = 250 * day
	yearEnds      = 365 * day

	// daemonEvery is how far apart the runs of the daemon are: rarer than usual, since all but
	// one run a day find nothing to do.
	daemonEvery = 12 * time.Hour
	// leastLeft is what the outage may leave of the timestamp: it is renewed when it has
	// less than 6 of its 7 days left, by the next run, or after it failed, within the hour.
	leastLeft = 6*day - (outageEnds - outage) - daemonEvery - 4*time.Hour
)

// A year of a trust repository that a daemon keeps fresh in a registry that fails one
// request in twenty. Consumers see nothing expired but the role that its team gave up,
// never a step back, and no error but that the registry cannot be reached; the monitor
// warns in time, and of nothing else.
func TestYear(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	y.faults.from, y.faults.to = outage, outageEnds
	y.foundRepository()
	daemon := y.newService()
	check := &monitor{year: y, repo: y.remote(trustName), copy: daemon.copies, alarms: map[string][]int{}}
	poller := &reader{year: y, source: trust.RepositorySource(y.remote(trustName), "tuf")}
	follower := &reader{year: y, source: trust.RepositorySource(y.remote(trustName), "tuf"), dir: t.TempDir()}
	sleeper := &reader{year: y, source: trust.RepositorySource(y.remote(trustName), "tuf"), dir: t.TempDir()}
	beside := &reader{year: y, source: trust.RepositorySource(y.remote(shopName), "tuf"), dir: t.TempDir()}

	y.publishes([]string{"ROOT_A", "ROOT_B", "REL", "TEAM", "ONLINE"}, func() {
		daemon.begin("ONLINE")
		y.each(y.since()+time.Hour, 21*time.Hour, poller.reads) // at all times of a day
		y.each(y.since()+2*time.Hour, day, follower.reads)
		y.each(y.since()+3*time.Hour, 2*day, beside.reads)
		y.each(y.since()+7*time.Hour, day, check.look)
		for _, wakes := range []time.Duration{20 * day, 110 * day, 215 * day, 364 * day} {
			y.at(wakes, sleeper.reads)
		}
	})
	y.at(rotateOnline, func() { y.rotatesOnline(daemon) })
	y.at(outageEnds-time.Hour, func() {
		if err := daemon.loop.Health(); err == nil || !trust.IsUnreachable(err) {
			t.Errorf("after three days without a registry the daemon says of itself: %v", err)
		}
	})
	y.at(holidayEnds, func() { y.signsTargets("REL", "ONLINE2") })
	y.at(ceremony, func() { y.ceremony() })
	y.at(rotateTargets, func() { y.rotatesTargets() })
	y.live(yearEnds)
	daemon.stop()

	check.judge(t)
	for name, c := range map[string]*reader{"poller": poller, "follower": follower, "sleeper": sleeper, "beside": beside} {
		if c.root != 4 {
			t.Errorf("%s has root v%d", name, c.root)
		}
		t.Logf("%-8s %4d reads, %3d could not reach the registry, least left of the timestamp %s", name, c.read, c.unreachable, c.least.Round(time.Minute))
		if c.least < leastLeft {
			t.Errorf("%s saw a timestamp with %s left", name, c.least)
		}
	}
	if err := daemon.loop.Health(); err != nil {
		t.Errorf("at the end of the year the daemon is not healthy: %v", err)
	}
	f := y.faults
	t.Logf("daemon   %d runs, %d failed, %d renewals; timestamp v%d", daemon.runs, daemon.failed, daemon.renewals, daemon.seen.Timestamp)
	t.Logf("registry %d requests, %d failed by chance (%.1f %%)", f.requests, f.failed, 100*float64(f.failed)/float64(f.requests))
	for role, days := range check.alarms {
		t.Logf("check    warned of %s on days %s", role, spans(days))
	}
}

// foundRepository is a workspace with everything of root v1 signed.
func (y *year) foundRepository() {
	y.t.Helper()
	ws, err := metadata.Init(y.home, metadata.InitOptions{
		Repository: "registry.example.com/" + trustName, Profile: metadata.ProfileStandard, Now: y.now,
		Env: y.env("ROOT_A", "ROOT_B", "ROOT_C", "REL", "ONLINE"),
		Keys: map[string][]string{
			"root": {"env:ROOT_A", "env:ROOT_B", "env:ROOT_C"}, "targets": {"env:REL"}, "snapshot": {"env:ONLINE"}, "timestamp": {"env:ONLINE"},
		},
	})
	if err != nil {
		y.t.Fatal(err)
	}
	if err := ws.Close(); err != nil {
		y.t.Fatal(err)
	}
	y.stage([]string{"ROOT_A", "ROOT_B", "REL", "TEAM"}, func(ws *metadata.Workspace) error {
		if _, err := ws.AddKeyURI("team", "env:TEAM", ""); err != nil {
			return err
		}
		if err := ws.AddDelegation(metadata.DelegationOptions{Name: "team", Paths: []string{"team/*"}, Keys: []string{"team"}}); err != nil {
			return err
		}
		if _, err := ws.AddTarget("team/a", []byte("of the team"), metadata.TargetOptions{Role: "team"}); err != nil {
			return err
		}
		if _, err := ws.AddTarget("hello.txt", []byte("hello"), metadata.TargetOptions{}); err != nil {
			return err
		}
		_, err := ws.Sign(y.t.Context(), nil, nil)
		return err
	})
}

// rotatesOnline replaces the key of snapshot and timestamp. Until the daemon has the new
// one it fails, and says so of itself.
func (y *year) rotatesOnline(daemon *service) {
	y.stage([]string{"ONLINE2"}, func(ws *metadata.Workspace) error {
		if _, err := ws.AddKeyURI("online2", "env:ONLINE2", ""); err != nil {
			return err
		}
		return ws.SetRole([]string{"snapshot", "timestamp"}, metadata.RoleEdit{AddKeys: []string{"online2"}, RemoveKeys: []string{"online"}})
	})
	y.signsAway("ROOT_A", "root")
	y.signsAway("ROOT_C", "root")
	y.publishes([]string{"ONLINE2"}, func() {
		y.at(y.since()+newKeyArrives, func() {
			if err := daemon.loop.Health(); !errors.Is(err, metadata.ErrKeyMissing) {
				y.t.Errorf("%s: with a key that was rotated the daemon says of itself: %v", y.when(), err)
			}
			daemon.restart("ONLINE2")
		})
	})
}

// signsTargets gives targets its next life.
func (y *year) signsTargets(holders ...string) {
	y.stage(holders, func(ws *metadata.Workspace) error {
		if err := ws.SetRole([]string{"targets"}, metadata.RoleEdit{Expires: 180 * day}); err != nil {
			return err
		}
		_, err := ws.Sign(y.t.Context(), []string{"targets"}, nil)
		return err
	})
	y.publishes(holders, nil)
}

// ceremony replaces a root key; three holders sign on three days, the new one too, while
// the daemon goes on.
func (y *year) ceremony() {
	y.stage([]string{"ROOT_D"}, func(ws *metadata.Workspace) error {
		if _, err := ws.AddKeyURI("root_d", "env:ROOT_D", ""); err != nil {
			return err
		}
		return ws.SetRole([]string{"root"}, metadata.RoleEdit{AddKeys: []string{"root_d"}, RemoveKeys: []string{"root_a"}})
	})
	for n, holder := range []string{"ROOT_B", "ROOT_C", "ROOT_D"} {
		y.at(y.since()+time.Duration(n)*2*day, func() { y.signsAway(holder, "root") })
	}
	y.at(y.since()+5*day, func() { y.publishes([]string{"ONLINE2"}, nil) })
}

func (y *year) rotatesTargets() {
	y.stage([]string{"REL2"}, func(ws *metadata.Workspace) error {
		if _, err := ws.AddKeyURI("rel2", "env:REL2", ""); err != nil {
			return err
		}
		return ws.SetRole([]string{"targets"}, metadata.RoleEdit{AddKeys: []string{"rel2"}, RemoveKeys: []string{"rel"}, Expires: 180 * day})
	})
	y.signsAway("ROOT_B", "root")
	y.signsAway("ROOT_D", "root")
	y.stage([]string{"REL2"}, func(ws *metadata.Workspace) error {
		_, err := ws.Sign(y.t.Context(), []string{"targets"}, nil)
		return err
	})
	y.publishes([]string{"ONLINE2"}, nil)
}

// reader reads the repository now and then.
type reader struct {
	year   *year
	source trust.Source
	dir    string // of its state; "": it begins anew each time

	read, unreachable int
	root, timestamp   int64
	least             time.Duration // of the timestamp's life, as it was seen
}

// reads refreshes and gets a file of targets and one of the team. What cannot be reached
// is tried again an hour later.
func (c *reader) reads() {
	y := c.year
	c.read++
	client, err := trust.New(y.root, trust.Options{Source: c.source, StateDir: c.dir, Now: y.now})
	if err != nil {
		y.t.Fatal(err)
	}
	view, err := client.Refresh(y.t.Context())
	if err == nil {
		_, _, err = view.Get(y.t.Context(), "hello.txt")
	}
	switch {
	case err == nil:
	case trust.IsUnreachable(err):
		c.unreachable++
		y.at(y.since()+time.Hour, c.reads)
		return
	default:
		y.t.Errorf("%s: consumer: %v", y.when(), err)
		return
	}
	_, _, err = view.Get(y.t.Context(), "team/a")
	if lapsed := y.since() >= teamLapses; err != nil && !trust.IsUnreachable(err) && !(lapsed && errors.Is(err, trust.ErrExpired)) || err == nil && lapsed {
		y.t.Errorf("%s: the team's file: %v", y.when(), err)
	}
	s := view.Status()
	if s.Timestamp.Version < c.timestamp || s.Root.Version < c.root {
		y.t.Errorf("%s: back from root v%d and timestamp v%d to v%d and v%d", y.when(), c.root, c.timestamp, s.Root.Version, s.Timestamp.Version)
	}
	c.root, c.timestamp = s.Root.Version, s.Timestamp.Version
	if left := s.Timestamp.Expires.Sub(y.now()); c.least == 0 || left < c.least {
		c.least = left
	}
}

// judge holds the alarms to what happened: each lapse was announced while its people had
// all their time, and nothing was said while nothing was the matter.
func (m *monitor) judge(t *testing.T) {
	t.Helper()
	days := func(d time.Duration) int { return int(d / day) }
	window := 45
	others := maps.Clone(m.alarms)
	for what, allowed := range map[string][2]int{
		"targets":   {days(180*day) - window, days(holidayEnds)},
		"team":      {days(teamLapses) - window, days(yearEnds)},
		"timestamp": {days(outage), days(outageEnds)},
		"snapshot":  {days(outage), days(outageEnds)},
		"the copy":  {days(outage), days(outageEnds)},
	} {
		for _, on := range m.alarms[what] {
			if on < allowed[0] || on > allowed[1] {
				t.Errorf("check warned of %s on day %d, when nothing was the matter", what, on)
			}
		}
		delete(others, what)
	}
	for what, days := range others {
		t.Errorf("check warned of %s on days %s", what, spans(days))
	}
	for what, lapses := range map[string]time.Duration{"team": teamLapses, "targets": 180 * day} {
		if first := slices.Min(append([]int{days(yearEnds)}, m.alarms[what]...)); first > days(lapses)-window+1 {
			t.Errorf("check first warned of %s on day %d, which ends on day %d", what, first, days(lapses))
		}
	}
}
