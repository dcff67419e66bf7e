// Command tufoci is the program as the scripts run it: with a clock that they
// can set ahead. $CLOCK is how far.
package main

import (
	"context"
	"os"
	"time"

	"github.com/tufoci/tufoci/cmd/tufoci/cli"
	"github.com/tufoci/tufoci/internal/period"
)

func main() {
	w := cli.System()
	if ahead, err := period.Parse(os.Getenv("CLOCK")); err == nil {
		w.Now = func() time.Time { return time.Now().Add(ahead) }
	}
	os.Exit(cli.Run(context.Background(), os.Args[1:], w))
}
