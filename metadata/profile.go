package metadata

import (
	"fmt"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/period"
)

const day = period.Day

// The profiles: defaults for thresholds and periods.
const (
	// ProfileDev has one local key under which every role is online.
	ProfileDev = "dev"
	// ProfileStandard has root at 2 keys and a life of 7 days for snapshot and timestamp: freshness comes from the
	// timestamp, and no person must sign every few weeks.
	ProfileStandard = "standard"
	// ProfileStrict also has targets at 2 keys, and a timestamp that lives for 24 hours.
	ProfileStrict = "strict"
)

// Profiles lists them.
func Profiles() []string { return []string{ProfileDev, ProfileStandard, ProfileStrict} }

// Periods are the life of a new version of a role, and the remaining life below which it is signed again.
type Periods struct {
	Expires     time.Duration
	RenewWithin time.Duration
}

// profilePeriods are the defaults of a profile. Delegated roles have those of targets.
func profilePeriods(profile, role string) Periods {
	strict := profile == ProfileStrict
	switch role {
	case tuf.ROOT:
		return Periods{365 * day, 60 * day}
	case tuf.SNAPSHOT:
		return Periods{7 * day, 6 * day}
	case tuf.TIMESTAMP:
		if strict {
			return Periods{24 * time.Hour, 22 * time.Hour}
		}
		return Periods{7 * day, 6 * day}
	case binsRole:
		return Periods{30 * day, 10 * day}
	case tuf.TARGETS:
		if strict {
			return Periods{365 * day, 60 * day}
		}
	}
	return Periods{180 * day, 45 * day}
}

// profileThreshold is how many signatures a top-level role needs by default.
func profileThreshold(profile, role string) int {
	switch {
	case role == tuf.ROOT && profile != ProfileDev, role == tuf.TARGETS && profile == ProfileStrict:
		return 2
	}
	return 1
}

func checkProfile(profile string) error {
	if slices.Contains(Profiles(), profile) {
		return nil
	}
	return fmt.Errorf("%w profile %q: want one of %v", ErrInvalid, profile, Profiles())
}
