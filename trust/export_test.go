package trust

import (
	"os"
	"time"
)

// Views into the package for its external tests.

// OnWriteStep lets a test end the client's writes before a step, as a crash would.
func (c *Client) OnWriteStep(step func(step, file string) error) {
	c.store.(*dirStore).disk.Step = step
}

// OnConfigStep is OnWriteStep for a configuration.
func (c *Config) OnConfigStep(step func(step, file string) error) { c.disk.Step = step }

// SetMaxRootRotations lowers the number of new roots that a refresh follows.
func (c *Client) SetMaxRootRotations(n int64) { c.limits.Roots = n }

// Clock is the time by which the client judges.
func (c *Client) Clock() time.Time { return c.judge().now }

// Verified is how many verifications are remembered.
func (c *Client) Verified() int { return len(c.parsed.verified) }

// SetCopyWait lowers the time for one copy.
func (c *Client) SetCopyWait(d time.Duration) { c.copyWait = d }

// MaxVisits is the default of the limit visits.
const MaxVisits = 32

// RoleFileName is the name of a stored role.
func RoleFileName(role string) string { return roleFileName(role) }

// ErrReadOnly is what a write to a read-only place fails with.
var ErrReadOnly = os.ErrPermission

// Spread is the wait of a Refresher with its jitter.
var Spread = spread

// PublicKey checks a public key of a metadata file.
var PublicKey = publicKey

// Guard runs what calls go-tuf.
var Guard = guard

// MaxStoredRoots is how many roots a state may have.
const MaxStoredRoots = maxStoredRoots

// SetMaxStored lowers the number of roots that a state may have, and their bytes.
func (c *Client) SetMaxStored(roots int, bytes int64) {
	s := c.store.(*dirStore)
	s.maxRoots, s.maxRootBytes = roots, bytes
}

// Directories of refreshes that found no other place, and what removes them.
var (
	MakeSpare       = makeSpare
	RemoveTemporary = removeTemporary
)

// MarshalSeen makes revocations.json.
var MarshalSeen = marshalSeen
