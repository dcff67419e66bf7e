package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCeremonyStart() *cobra.Command {
	var message, output string
	cmd := &cobra.Command{
		Use:   "start [ROLE...] -m MESSAGE -o FILE",
		Short: "Freeze staged roles, and write the file that goes to all who sign",
		Long: `Freeze what is staged of the roles, or of all roles that people sign, and write
all that they need into one file: what changes, what is published, who signs.
Until apply or abort these roles cannot be edited here; publish leaves them as
they are.`,
		Example: `  tufoci ceremony start root -m "root-d replaces root-c" -o root-v4.tufc`,
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				c, err := a.runCeremonyStart(w, args, message, output)
				if err != nil {
					return err
				}
				r, err := a.resultOf(c, output, "")
				if err != nil {
					return err
				}
				r.done = "Frozen: " + r.headline()
				return a.print(r)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&message, "message", "m", "", "why, in a `SENTENCE` for those who sign")
	f.StringVarP(&output, "output", "o", "", "write the ceremony to `FILE`, which must not exist")
	_ = cmd.MarkFlagRequired("message") // it exists
	_ = cmd.MarkFlagRequired("output")  // it exists
	return cmd
}

// runCeremonyStart freezes before it writes: killed in between, the same command does it again.
func (a *app) runCeremonyStart(w *metadata.Workspace, roles []string, message, output string) (*ceremony.Ceremony, error) {
	if _, err := os.Lstat(output); err == nil {
		return nil, &fs.PathError{Op: "write", Path: output, Err: fs.ErrExist}
	}
	file, err := filepath.Abs(output)
	if err != nil {
		return nil, err
	}
	c, err := ceremony.Start(w, ceremony.StartOptions{Roles: roles, Message: message, File: file, Now: a.world.Now()})
	if err != nil {
		return nil, err
	}
	data, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	if err := writeFile(output, data, 0o644); err != nil {
		if aborting := ceremony.Abort(w, c.TxID); aborting != nil {
			return nil, fmt.Errorf("%w; the roles stay frozen: %v", err, aborting)
		}
		return nil, err
	}
	return c, nil
}
