package cli

import (
	"context"
	"net"
	"net/http"

	"github.com/tufoci/tufoci/serve"
)

// answer answers requests beside what a command does, until it is stopped, which lets
// requests that are under way end.
func (a *app) answer(listener net.Listener, handler http.Handler) (stop func()) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve.Run(ctx, listener, handler, serve.RunOptions{Warn: a.warn}); err != nil {
			a.warn(err.Error())
		}
	}()
	return func() {
		end()
		<-done
	}
}
