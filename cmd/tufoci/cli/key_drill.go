package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

// keyDrill is what came of testing one key.
type keyDrill struct {
	keyInfo
	Good   bool   `json:"good"`
	Reason string `json:"reason"`
}

type keyTestResult struct {
	document
	Keys []keyDrill `json:"keys"`
}

// brokenKeysError says that keys cannot sign today. It is as what kept the first
// of them from it.
type brokenKeysError struct {
	names []string
	first error
}

func (e *brokenKeysError) Error() string {
	return fmt.Sprintf("cannot sign: %s; %v", strings.Join(e.names, ", "), e.first)
}
func (e *brokenKeysError) Unwrap() error { return e.first }

func (a *app) newKeyTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test [NAME...]",
		Short: "Fire drill: have keys sign, today, and verify it",
		Long: `Have each of the keys, or every key of tufoci.yaml with a URI, sign something that
nobody knew before, and verify it against the public key in tufoci.yaml. What is
signed is no metadata. Exit 32 if one cannot; the others are tested all the same.`,
		Example: "  tufoci key test\n  tufoci key test root-a",
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				drills, err := w.TestKeys(ctx, args...)
				if err != nil {
					return err
				}
				r, err := newKeyTestResult(drills)
				return printAlso(a, r, err)
			})
		}),
	}
}

func newKeyTestResult(drills []metadata.KeyDrill) (*keyTestResult, error) {
	r := &keyTestResult{Keys: make([]keyDrill, 0, len(drills))}
	broken := &brokenKeysError{}
	for _, d := range drills {
		drill := keyDrill{keyInfo: newKeyInfo(d.Key), Good: d.Err == nil}
		if d.Err != nil {
			drill.Reason = oneLine(d.Err.Error())
			if broken.names = append(broken.names, d.Key.Name); broken.first == nil {
				broken.first = d.Err
			}
		}
		r.Keys = append(r.Keys, drill)
	}
	if broken.first == nil {
		return r, nil
	}
	return r, broken
}

func (r *keyTestResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		rows = append(rows, []string{k.Name, shorten(k.ID, 12), first(k.URI, "held elsewhere"), first(k.Reason, "✓ signs"), k.Seen.String()})
	}
	table(w, []string{"NAME", "ID", "PRIVATE KEY", "RESULT", "LAST SEEN"}, rows)
}
