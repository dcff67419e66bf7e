package trust

import (
	"context"
	"time"
)

// RefresherOptions of [NewRefresher]. The zero value works.
type RefresherOptions struct {
	// Fraction of the timestamp's life after which it is refreshed; default 1/4.
	// The wait is between Min (default 1 minute) and Max (default 6 hours).
	Fraction float64
	Min, Max time.Duration
	// OnRefresh is told about each attempt; nil: nobody is.
	OnRefresh func(*View, error)
}

// Refresher keeps the newest verified view of one client for programs that run
// for long. It is safe for concurrent use.
type Refresher struct{}

// NewRefresher refreshes once and returns an error if that fails; afterwards it
// refreshes in the background until ctx ends.
func NewRefresher(ctx context.Context, c *Client, o RefresherOptions) (*Refresher, error) {
	panic("not implemented")
}

// View returns the newest verified view. ErrExpired once it has expired, beyond
// the client's MaxStale, without a newer one.
func (r *Refresher) View() (*View, error) { panic("not implemented") }
