package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

type completionResult struct {
	document
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (r *completionResult) text(w io.Writer, _ *app) { fmt.Fprint(w, r.Script) }

func (a *app) newCompletion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print a completion script for bash, zsh, fish or powershell",
		Example:   "  source <(tufoci completion bash)",
		ValidArgs: shells,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
	}
	cmd.RunE = a.run(func(_ context.Context, args []string) error {
		var out bytes.Buffer
		if err := writeCompletion(cmd.Root(), args[0], &out); err != nil {
			return err
		}
		return a.print(&completionResult{Shell: args[0], Script: out.String()})
	})
	return cmd
}

func writeCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	default:
		return root.GenPowerShellCompletionWithDesc(w)
	}
}
