package ociremote

import (
	"context"
	"fmt"
	"net/http/httptrace"
)

// maxConnections is how many connections one try of a request is given. A server of
// HTTP/2 may say that it has not looked at a request (RFC 9113, 6.8 and 8.7), and
// net/http goes on with another connection at once, as often as it is told so.
const maxConnections = 8

// errConnections ends a request that was refused on each of its connections.
var errConnections = fmt.Errorf("sent away from %d connections, one after the other", maxConnections)

// boundConnections returns a context under which one request ends with errConnections
// as its cause when it wants more connections than it is given.
func boundConnections(ctx context.Context, end context.CancelCauseFunc) context.Context {
	wanted := 0
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) {
		if wanted++; wanted > maxConnections {
			end(errConnections)
		}
	}})
}
