package upkeep

import (
	"time"

	"github.com/tufoci/tufoci/metadata"
)

// maxBackoff bounds the wait after failures: whoever runs twice a day must not lose
// another half day once the registry is back.
const maxBackoff = time.Hour

// pause is how long to wait for the next run: Every, or after failures Retry,
// 2 Retry, 4 Retry … up to that, and up to an hour. Where a role that the keys at hand
// can renew would end before, a third of what it has left, so that several runs may
// still fail.
func (o Options) pause(s *state, now time.Time) time.Duration {
	wait := o.Every
	if s.streak > 0 {
		wait = o.Retry
		most := min(o.Every, max(o.Retry, maxBackoff))
		for n := 1; n < s.streak && wait < most; n++ {
			wait *= 2
		}
		wait = min(wait, most)
	}
	if end, ok := s.firstEnd(); ok {
		wait = min(wait, max(end.Sub(now)/3, o.Retry))
	}
	return wait - time.Duration(float64(wait)*o.Jitter*o.Random())
}

// firstEnd is when the first of the roles ends that runs renew.
func (s *state) firstEnd() (end time.Time, ok bool) {
	if s.outcome == nil {
		return end, false
	}
	for _, r := range s.outcome.Roles {
		if renewable(r) && (!ok || r.Expires.Before(end)) {
			end, ok = r.Expires, true
		}
	}
	return end, ok
}

// renewable reports whether runs renew a role: root is a decision of people.
func renewable(r metadata.RoleLife) bool { return r.Role != "root" && r.AtHand() }
