// Command tufoci keeps TUF repositories in OCI registries: it makes, signs and
// publishes them, and reads them back from a pinned root.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/tufoci/tufoci/cmd/tufoci/cli"
)

func main() {
	// net/http writes there what a server sends unasked, a line for each frame of a kind
	// that it does not know.
	log.SetOutput(io.Discard)
	// What a source sends is bounded; by default the heap may be twice what is in use before
	// what is not is collected. GOGC decides otherwise.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := cli.Run(ctx, os.Args[1:], cli.System())
	stop()
	os.Exit(code)
}
