package cli

import (
	"fmt"
	"time"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/mirror"
)

// until is a flag value for a point in time, RFC 3339 or a date, or for a length of
// time from now on.
type until struct {
	at   time.Time
	from time.Duration
}

func (u *until) Set(s string) error {
	*u = until{}
	if d, err := period.Parse(s); err == nil {
		u.from = d
		return nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		u.at = t
		return nil
	}
	var t instant
	if err := t.Set(s); err != nil {
		return fmt.Errorf("%q: want a date, a time as in RFC 3339, or a length of time such as 30d", s)
	}
	u.at = t.Time
	return nil
}

func (u *until) Type() string { return "time" }

func (u *until) String() string {
	switch {
	case u.from != 0:
		return period.Format(u.from)
	case u.at.IsZero():
		return ""
	}
	return mirror.FormatDate(u.at)
}

// time is the point in time, in whole seconds as metadata has them; zero for none.
func (u *until) time(now time.Time) time.Time {
	if u.from != 0 {
		return now.Add(u.from).UTC().Truncate(time.Second)
	}
	return u.at
}
