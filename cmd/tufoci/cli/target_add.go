package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type targetChangeResult struct {
	document
	Targets []targetEntry `json:"targets"`
	verb    string
}

func (a *app) newTargetAdd() *cobra.Command {
	var fromFile, custom, role string
	cmd := &cobra.Command{
		Use:   "add PATH FILE",
		Short: "Stage a target",
		Long: `Stage the file FILE as the target PATH, or with --from-file entries of images/
as they stand in a file of JSON lines: path, length, hashes, custom.`,
		Example: `  tufoci target add charts/shop-1.4.2.tgz shop-1.4.2.tgz
  tufoci target add --from-file entries.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if fromFile != "" && len(args) == 0 || fromFile == "" && len(args) == 2 {
				return nil
			}
			return usagef("give PATH and FILE, or --from-file")
		},
		RunE: a.run(func(ctx context.Context, args []string) error {
			o := metadata.TargetOptions{Role: role, Custom: json.RawMessage(custom)}
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				added, err := addTargets(w, args, fromFile, o)
				if err != nil {
					return err
				}
				return a.print(&targetChangeResult{Targets: targetEntries(added), verb: "+"})
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&fromFile, "from-file", "", "JSON lines `FILE` of images/ entries")
	f.StringVar(&custom, "custom", "", "custom `JSON` object of the entry")
	f.StringVar(&role, "role", "", "`ROLE` that lists the entry (default targets, or the right bin)")
	cmd.MarkFlagsMutuallyExclusive("from-file", "custom")
	return cmd
}

func addTargets(w *metadata.Workspace, args []string, fromFile string, o metadata.TargetOptions) ([]metadata.Target, error) {
	if fromFile != "" {
		entries, err := readFile(fromFile)
		if err != nil {
			return nil, err
		}
		return w.AddTargetEntries(bytes.NewReader(entries), o)
	}
	data, err := readFile(args[1])
	if err != nil {
		return nil, err
	}
	t, err := w.AddTarget(args[0], data, o)
	if err != nil {
		return nil, err
	}
	return []metadata.Target{*t}, nil
}

func (r *targetChangeResult) text(w io.Writer, _ *app) {
	for _, t := range r.Targets {
		fmt.Fprintf(w, "%s %s   staged in %s\n", r.verb, printable(t.Path), printable(t.Role))
	}
}
