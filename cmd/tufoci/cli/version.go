package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionResult struct {
	document
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  tufoci version --format json",
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			return a.print(readVersion())
		}),
	}
}

// readVersion takes the version from what the Go tool wrote into the binary.
func readVersion() *versionResult {
	r := &versionResult{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return r
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		r.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			r.Revision = s.Value
		}
	}
	return r
}

// userAgent names the program to registries.
func userAgent() string { return "tufoci/" + readVersion().Version }

func (r *versionResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "tufoci %s", r.Version)
	if r.Revision != "" {
		fmt.Fprintf(w, " (%.12s)", r.Revision)
	}
	fmt.Fprintf(w, " %s %s\n", r.Go, r.Platform)
}
