package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

// withWorkspaceWithin is withWorkspace, but waits for another tufoci to be done in the
// workspace, as long as wait says. do is told what is left of that.
func (a *app) withWorkspaceWithin(ctx context.Context, wait time.Duration, do func(w *metadata.Workspace, left time.Duration) error) error {
	for {
		err := a.withWorkspace(ctx, false, func(w *metadata.Workspace) error { return do(w, wait) })
		pause := publish.Pause(wait)
		if !errors.Is(err, metadata.ErrLocked) || pause == 0 {
			return err
		}
		wait -= pause
		if err := a.world.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("waiting for the workspace: %w", err)
		}
	}
}
