// Command conformance is a client for the public suite theupdateframework/tuf-conformance:
// it speaks the suite's protocol (its CLIENT-CLI.md) and does the work with package trust,
// over the http source, as tufoci does for its users. It is no part of what ships.
//
//	conformance --metadata-dir DIR init ROOT
//	conformance --metadata-dir DIR --metadata-url URL refresh
//	conformance --metadata-dir DIR --metadata-url URL --target-name NAME [--target-name NAME …]
//	            --target-dir DIR --target-base-url URL download
//
// With --via-oci first, the files of the suite's server are gathered into a bundle behind a
// registry in this process, and the client reads that.
//
// docs/conformance.md says how the suite is run.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
