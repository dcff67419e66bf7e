package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/trust"
)

type trustExportOptions struct {
	registry registryFlags
	to       string
	output   string
}

type trustExportResult struct {
	document
	reading
	Trust  string        `json:"trust"`
	To     string        `json:"to"`
	Output string        `json:"output"`
	Roles  []roleVersion `json:"roles"`
	Files  []string      `json:"files"`
	line   string
	hint   string // how to use it
}

func (a *app) newTrustExport() *cobra.Command {
	var o trustExportOptions
	cmd := &cobra.Command{
		Use:   "export NAME",
		Short: "Write what a trust delivers into a new directory, for another program",
		Long: `Refresh a trust and write what it delivers, once and whole, into a directory that
is new or empty:

  notation  configuration and cache directories of the notation command
  sigstore  trusted_root.json, for cosign's --trusted-root, and what is beside it
  dir       the TUF repository itself, for any web server and any TUF client

Nothing in it is updated later; see trust sync for what stays current.`,
		Example: `  tufoci trust export acme --to sigstore -o sigstore
  tufoci trust export acme --to dir -o /srv/www/tuf`,
		Args: cobra.ExactArgs(1),
	}
	o.registry.add(cmd, "")
	cmd.Flags().StringVar(&o.to, "to", "", "what to write for: `notation|sigstore|dir`")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "new or empty `DIR` to write")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runTrustExport(ctx, args[0], &o)
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) runTrustExport(ctx context.Context, name string, o *trustExportOptions) (*trustExportResult, error) {
	write := map[string]func(context.Context, *exporter) error{
		"notation": writeNotation, "sigstore": writeSigstore, "dir": writeRepository,
	}[o.to]
	switch {
	case write == nil:
		return nil, usagef("--to %q: want notation, sigstore or dir", o.to)
	case o.output == "":
		return nil, usagef("give -o DIR")
	}
	entry, client, err := a.namedClient(ctx, name, &o.registry)
	if err != nil {
		return nil, err
	}
	if err := checkNew(o.output); err != nil {
		return nil, err
	}
	view, err := a.refreshed(ctx, name, client)
	if err != nil {
		return nil, err
	}
	e := &exporter{app: a, entry: entry, client: client, view: view, output: o.output}
	if err := e.whole(func() error { return write(ctx, e) }); err != nil {
		return nil, err
	}
	st := view.Status()
	return &trustExportResult{
		reading: newReading(view), Trust: entry.Name, To: o.to, Output: o.output, Roles: roleVersions(st),
		Files: append([]string{}, e.files...), line: versionLine(st, a.world.Now()), hint: e.hint,
	}, nil
}

// checkNew refuses a directory that holds something.
func checkNew(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	}
	return nil
}

// exporter writes one export.
type exporter struct {
	app    *app
	entry  trust.Entry
	client *trust.Client
	view   *trust.View
	output string
	temp   string
	root   *os.Root // temp: nothing is written outside, whatever a name says
	files  []string
	hint   string
}

// whole fills a directory beside the output and puts it in its place.
func (e *exporter) whole(fill func() error) (err error) {
	output, err := filepath.Abs(e.output)
	if err != nil {
		return err
	}
	if e.temp, err = os.MkdirTemp(filepath.Dir(output), ".tufoci-*"); err != nil {
		return err
	}
	defer os.RemoveAll(e.temp) // gone by then if all is well
	if e.root, err = os.OpenRoot(e.temp); err != nil {
		return err
	}
	defer e.root.Close()
	if err := fill(); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(e.temp, 0o755), syncTree(e.temp)); err != nil {
		return err
	}
	if err := os.Remove(output); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it is not empty any more
	}
	if err := os.Rename(e.temp, output); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(output))
}

// syncTree syncs the directories, whose files are synced already.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return durable.Sync(path)
	})
}

// write writes a file that anybody may read.
func (e *exporter) write(name string, data []byte) error {
	file := filepath.FromSlash(name)
	if err := e.root.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := e.root.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	e.files = append(e.files, name)
	return nil
}

// writeRepository writes a classic TUF repository.
func writeRepository(ctx context.Context, e *exporter) error {
	set, err := e.view.Files(ctx)
	if err != nil {
		return err
	}
	for _, f := range set.Files {
		if err := e.write(f.Title, f.Data); err != nil {
			return err
		}
	}
	e.hint = "serve it with any web server; clients start from the root that they pin"
	return nil
}

// Names of Sigstore's targets: below a directory of their own, or as in Sigstore's
// own repository.
const (
	sigstorePrefix = "sigstore/"
	trustedRoot    = "trusted_root.json"
)

// writeSigstore writes the trusted root, and what else is below sigstore/.
func writeSigstore(ctx context.Context, e *exporter) error {
	e.app.subject.targets = []string{sigstoreName}
	data, _, missing := e.view.Get(ctx, sigstoreName)
	err := missing
	if trust.IsUnlisted(err) {
		data, _, err = e.view.Get(ctx, trustedRoot)
	}
	if trust.IsUnlisted(err) {
		return missing // the name that publishers are told
	}
	if err != nil {
		return err
	}
	if err := e.write(trustedRoot, data); err != nil {
		return err
	}
	e.hint = "cosign verify --trusted-root " + shellWord(filepath.Join(e.output, trustedRoot)) + " …"
	targets, err := e.view.List(ctx)
	if err != nil {
		return err
	}
	for _, t := range targets {
		name, ok := strings.CutPrefix(t.Path, sigstorePrefix)
		if !ok || name == trustedRoot {
			continue
		}
		data, _, err := e.view.Get(ctx, t.Path)
		if err != nil {
			return err
		}
		if err := e.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

// writeNotation writes what a sync would.
func writeNotation(ctx context.Context, e *exporter) error {
	o := &trustSyncOptions{to: "notation", dir: filepath.Join(e.temp, "config"), cache: filepath.Join(e.temp, "cache")}
	target, err := o.target(e.app)
	if err != nil {
		return err
	}
	s := &syncer{app: e.app, o: o, entry: e.entry, client: e.client, target: target}
	r, err := s.sync(ctx, e.view)
	if err != nil {
		return err
	}
	for _, c := range r.Changes {
		dir := "config"
		if strings.HasPrefix(c.Path, "crl/") {
			dir = "cache"
		}
		e.files = append(e.files, path.Join(dir, c.Path))
	}
	e.hint = fmt.Sprintf("export NOTATION_CONFIG=%s NOTATION_CACHE=%s",
		shellWord(filepath.Join(e.output, "config")), shellWord(filepath.Join(e.output, "cache")))
	return nil
}

func (r *trustExportResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ %s: %s\n", r.Trust, r.line)
	for _, f := range r.Files {
		fmt.Fprintf(w, "  %s\n", printable(f))
	}
	fmt.Fprintf(w, "✓ %s -> %s\n%s\n", r.To, printable(r.Output), r.hint)
}
