// Command tufoci is the program as the scripts run it: with a clock that they
// can set ahead. $CLOCK is how far.
package main

import (
	"context"
	"os"
	"os/signal"
	"time"

	"github.com/tufoci/tufoci/cmd/tufoci/cli"
	"github.com/tufoci/tufoci/internal/period"
)

func main() {
	w := cli.System()
	if ahead, err := period.Parse(os.Getenv("CLOCK")); err == nil {
		w.Now = func() time.Time { return time.Now().Add(ahead) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := cli.Run(ctx, os.Args[1:], w)
	stop()
	os.Exit(code)
}
