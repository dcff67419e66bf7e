package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// MaxSkew is how far clocks may be apart: consumers refuse to work further behind what they have seen.
const MaxSkew = 5 * time.Minute

// checkDate holds the clock to the Date of an answer that came in between before and after.
func checkDate(header http.Header, before, after time.Time) Check {
	c := Check{Area: AreaClock, Name: "against the registry", Status: OK}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		c.Status, c.Found = Skipped, "the registry does not say what time it is"
		return c
	}
	var off time.Duration
	switch end := date.Add(time.Second); { // Date has whole seconds
	case after.Before(date):
		off = after.Sub(date)
	case before.After(end):
		off = before.Sub(end)
	}
	return judgeSkew(c, off, "the registry")
}

// checkSigned holds the clock to when a role says that it was signed, as far as it says that.
func checkSigned(role string, data []byte, now time.Time) Check {
	c := Check{Area: AreaClock, Name: "against the " + role, Status: OK}
	var file struct {
		Signed struct {
			Expires time.Time `json:"expires"`
			Period  int64     `json:"x-tufoci-expires"` // seconds
		} `json:"signed"`
	}
	if json.Unmarshal(data, &file) != nil || file.Signed.Period <= 0 || file.Signed.Period > int64(100*365*24*time.Hour/time.Second) {
		c.Status, c.Found = Skipped, "it does not say when it was signed"
		return c
	}
	at := file.Signed.Expires.Add(-time.Duration(file.Signed.Period) * time.Second)
	if now.After(at) {
		c.Found = "it was signed before now"
		return c
	}
	return judgeSkew(c, now.Sub(at), "whoever signed it")
}

func judgeSkew(c Check, off time.Duration, whose string) Check {
	side, size := "ahead of", off
	if off < 0 {
		side, size = "behind", -off
	}
	c.Found = fmt.Sprintf("this clock is %v %s that of %s", size.Round(time.Second), side, whose)
	if size < time.Second {
		c.Found = fmt.Sprintf("this clock agrees with that of %s", whose)
	}
	if size > MaxSkew {
		c.Status, c.Err = Fail, fmt.Errorf("%w: %s", ErrClock, c.Found)
		c.Means = "expiry is judged, and new versions are dated, by this clock"
		c.Next = "set the clock of whichever is wrong, then `tufoci doctor`"
	}
	return c
}
