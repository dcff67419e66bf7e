package trust

import "time"

// judge decides about expiry. Its clock stands still.
type judge struct {
	now          time.Time
	maxStale     time.Duration
	allowExpired bool
}

// expired is the rule of TUF spec 5.3.10, 5.4.4, 5.5.6 and 5.6.6: metadata is
// expired at the instant that it states, not only after it.
func expired(at, expires time.Time) bool { return !at.Before(expires) }

// refTime is the clock that go-tuf gets. It calls metadata valid at the instant
// of its expiry, so the clock is one nanosecond ahead; and it has one clock for
// all roles, so it gets the one of timestamp and snapshot. The others are judged
// by fresh.
func (j judge) refTime() time.Time {
	if j.allowExpired {
		return time.Time{}
	}
	return j.now.Add(-j.maxStale).Add(1)
}

// fresh refuses a role other than timestamp and snapshot that has expired.
func (j judge) fresh(role string, version int64, expires time.Time) error {
	if j.allowExpired || !expired(j.now, expires) {
		return nil
	}
	return j.refuse(role, version, expires)
}

// usable refuses a timestamp or snapshot that expired more than maxStale ago, and
// says of one that is accepted whether it is stale.
func (j judge) usable(role string, version int64, expires time.Time) (stale bool, err error) {
	if !j.allowExpired && expired(j.now.Add(-j.maxStale), expires) {
		return false, j.refuse(role, version, expires)
	}
	return expired(j.now, expires), nil
}

func (j judge) refuse(role string, version int64, expires time.Time) error {
	return &VerificationError{Kind: ErrExpired, Role: role, Version: version, Expires: expires, Now: j.now}
}
