package upkeep

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

// Health says why somebody has to look after the loop; nil: nobody has. That one
// run failed is no reason, since the next one comes soon. The reasons are:
//
//   - no run has succeeded yet, or the last success is older than MaxAge;
//   - a role that the keys at hand can renew, a top-level role that others have to
//     renew, or a copy next to images has less left than two runs take, or than a
//     quarter of its period;
//   - a copy that was never written since the loop began, for longer than MaxAge.
//
// Roles of teams that have lapsed are no reason: that is theirs, and [publish.Monitor]
// tells of it in time.
//
// [publish.Monitor]: https://pkg.go.dev/github.com/tufoci/tufoci/publish#Monitor
func (l *Loop) Health() error {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.state
	if s.outcome == nil {
		return because("no run has succeeded yet", s.err)
	}
	if age := now.Sub(s.success); age > l.o.MaxAge {
		return because(fmt.Sprintf("the last run that succeeded was %s ago", span(age)), s.err)
	}
	for _, r := range s.outcome.Roles {
		if left := r.Expires.Sub(now); left < l.o.margin(r) && (renewable(r) || topLevel(r.Role)) {
			return because(fmt.Sprintf("%s v%d %s", r.Role, r.Version, ends(left)), s.err)
		}
	}
	return l.o.copies(s, now)
}

// copies says which copy is in danger.
func (o Options) copies(s *state, now time.Time) error {
	timestamp := slices.IndexFunc(s.outcome.Roles, func(r metadata.RoleLife) bool { return r.Role == "timestamp" })
	for _, c := range s.outcome.Copies {
		c := s.copies[c.Name]
		switch left := c.Expires.Sub(now); {
		case c.Err == nil:
		case c.Version == 0 && now.Sub(c.since) > o.MaxAge:
			return because(fmt.Sprintf("the copy beside %s could not be written for %s", c.Name, span(now.Sub(c.since))), c.Err)
		case c.Version > 0 && timestamp >= 0 && left < o.margin(s.outcome.Roles[timestamp]):
			return because(fmt.Sprintf("the copy beside %s %s", c.Name, ends(left)), c.Err)
		}
	}
	return nil
}

// margin is how little a role may have left: less says that the next runs will
// hardly save it.
func (o Options) margin(r metadata.RoleLife) time.Duration { return min(2*o.Every, r.Period/4) }

func topLevel(role string) bool {
	return slices.Contains([]string{"root", "targets", "snapshot", "timestamp"}, role)
}

func because(what string, err error) error {
	if err == nil {
		return errors.New(what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func ends(left time.Duration) string {
	if left <= 0 {
		return "has expired"
	}
	return "expires in " + span(left)
}

// span is a length of time, to the second, and of days to the hour.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 3*day {
		return d.Truncate(time.Second).String()
	}
	return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
}
