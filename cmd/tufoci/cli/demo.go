package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
)

type demoResult struct {
	document
	Commands  []demoCommand `json:"commands"`
	Directory string        `json:"directory"`
}

// demoCommand is a command of the story and how it ended.
type demoCommand struct {
	Command  string `json:"command"`
	ExitCode int    `json:"exitCode"`
}

func (a *app) newDemo() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on this machine, in under a minute",
		Long: `Start a registry on loopback, publish to it, and pin its root as a consumer. Push
an image, sign it with Notation, and verify it; move its tag, which is refused;
replace the certificate authority; revoke a signer, who is refused. Rotate a root
key, and attack: a tampered bundle and a rolled back one are refused. Every command shown is run as shown. Nothing else on this machine is touched.`,
		Example: "  tufoci demo --keep",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			r, err := a.runDemo(ctx, keep)
			if err != nil {
				return err
			}
			return a.print(r)
		}),
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the workspace, the trust and the registry's content behind")
	return cmd
}

func (r *demoResult) text(w io.Writer, _ *app) {
	if r.Directory != "" {
		fmt.Fprintf(w, "\nkept in %s: workspace/, consumer/ and layout/\n", r.Directory)
		return
	}
	fmt.Fprintln(w, "\nThat was all of it; nothing is left behind.")
}

// demo is one telling of the story.
type demo struct {
	app  *app
	out  io.Writer
	dir  string
	host string
	// repositoryName is the repository of the story on host.
	repositoryName string
	env            map[string]string
	commands       []demoCommand
	// pushed is the image of the story, signer who has signed it last.
	pushed ocispec.Descriptor
	signer *demoSigner
}

func (a *app) runDemo(ctx context.Context, keep bool) (_ *demoResult, err error) {
	dir, err := os.MkdirTemp("", "tufoci-demo-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if !keep || err != nil {
			os.RemoveAll(dir)
		}
	}()
	host, stop, err := startRegistry()
	if err != nil {
		return nil, err
	}
	defer stop()
	d := &demo{app: a, out: a.world.Stdout, dir: dir, host: host, repositoryName: "acme/trust"}
	if a.global.format == formatJSON || a.global.quiet {
		d.out = io.Discard
	}
	if err := d.tell(ctx); err != nil {
		return nil, err
	}
	r := &demoResult{}
	if keep {
		if err := d.keep(ctx); err != nil {
			return nil, err
		}
		r.Directory = dir
	}
	r.Commands = d.commands
	return r, nil
}

// repository is the trust repository of the story.
func (d *demo) repository() string { return d.host + "/" + d.repositoryName }

func (d *demo) tell(ctx context.Context) error {
	d.env = map[string]string{
		"D":               d.dir,
		"R":               d.repository(),
		"H":               d.host,
		envHome:           filepath.Join(d.dir, "consumer"),
		envDockerConfig:   filepath.Join(d.dir, "consumer", "docker"),
		envWorkspace:      filepath.Join(d.dir, "workspace"),
		envPassphrase:     "correct horse battery staple",
		envConfigHome:     filepath.Join(d.dir, "consumer", "config"),
		envStateHome:      filepath.Join(d.dir, "consumer", "state"),
		envCacheHome:      filepath.Join(d.dir, "consumer", "cache"),
		envRegistryConfig: filepath.Join(d.dir, "consumer", "docker", "config.json"),
	}
	d.say("A registry runs on this machine. What follows can be typed as it stands:")
	for _, name := range []string{"D", "H", "R", envWorkspace, envPassphrase, envConfigHome, envStateHome, envCacheHome} {
		fmt.Fprintf(d.out, "  $ export %s=%s\n", name, quote(d.env[name]))
	}
	for _, chapter := range []func(context.Context) error{
		d.publish, d.pin, d.image, d.verify, d.movedTag, d.rotateAuthority, d.revoked, d.rotate, d.tampered, d.rolledBack,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) publish(ctx context.Context) error {
	d.say("A publisher makes a repository with one key, adds a file and publishes. The\nbundle is verified in memory as a client would, before anything is sent.")
	if err := d.file("hello.txt", "hello, trust\n"); err != nil {
		return err
	}
	return d.all(ctx,
		"init $R --profile dev -y",
		"target add hello.txt $D/hello.txt",
		"publish -y",
	)
}

func (d *demo) pin(ctx context.Context) error {
	if err := d.root1(); err != nil {
		return err
	}
	d.say("A consumer gets the root by another way (1.root.json, or its checksum), pins it,\nand reads the file, verified from that root.")
	return d.all(ctx,
		"trust add acme $R --root $D/1.root.json",
		"ls acme",
		"get acme hello.txt",
	)
}

func (d *demo) rotate(ctx context.Context) error {
	old, err := d.rootKey(ctx)
	if err != nil {
		return err
	}
	d.say("The publisher replaces the root key. The new root is signed by the old key too,\nso the consumer follows from the root it has pinned.")
	return d.all(ctx,
		"key generate root-2",
		"role set root --add-key root-2 --rm-key "+old,
		"diff root",
		"sign root -y",
		"publish -y",
		"trust update acme",
	)
}

func (d *demo) tampered(ctx context.Context) error {
	good, err := d.attack(ctx, forgeTimestamp)
	if err != nil {
		return err
	}
	d.say("Somebody who can write to the registry, but has no key, replaces the bundle by\none with a newer timestamp. All digests of the registry fit. The consumer refuses.")
	if err := d.run(ctx, "trust update acme", exitThreshold); err != nil {
		return err
	}
	return d.putBack(ctx, good)
}

func (d *demo) rolledBack(ctx context.Context) error {
	good, err := d.attack(ctx, firstBundle)
	if err != nil {
		return err
	}
	d.say("They put the first bundle back, with its good signatures and the old root. The\nconsumer has seen newer ones and refuses.")
	if err := d.run(ctx, "trust update acme", exitRollback); err != nil {
		return err
	}
	if err := d.putBack(ctx, good); err != nil {
		return err
	}
	d.say("The registry is restored, and all is well: nothing of it has touched the consumer.")
	return d.run(ctx, "get acme hello.txt", exitOK)
}

// keep saves what the registry has, which ends with the demo.
func (d *demo) keep(ctx context.Context) error {
	d.say("What the registry holds is copied to a directory, verified like all else.")
	return d.run(ctx, "mirror copy $R oci-layout:$D/layout --root $D/1.root.json", exitOK)
}

// rootKey is the name of the key that signs root.
func (d *demo) rootKey(ctx context.Context) (string, error) {
	var out bytes.Buffer
	w := d.world()
	w.Stdout, w.Stderr = &out, io.Discard
	if code := Run(ctx, []string{"role", "show", "root", "--format", "json"}, w); code != exitOK {
		return "", fmt.Errorf("tufoci role show root: exit %d", code)
	}
	var role struct {
		Keys []keyRef `json:"keys"`
	}
	if err := json.Unmarshal(out.Bytes(), &role); err != nil || len(role.Keys) == 0 {
		return "", fmt.Errorf("no key signs root: %v", err)
	}
	return role.Keys[0].Name, nil
}

func (d *demo) say(text string) {
	fmt.Fprintf(d.out, "\n# %s\n", strings.ReplaceAll(text, "\n", "\n# "))
}

// all runs commands that have to succeed.
func (d *demo) all(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if err := d.run(ctx, c, exitOK); err != nil {
			return err
		}
	}
	return nil
}

// run shows a command and runs it: $D, $H and $R stand for what was exported,
// and quotes are taken off. It has to end with want.
func (d *demo) run(ctx context.Context, command string, want int) error {
	fmt.Fprintf(d.out, "\n  $ tufoci %s\n", command)
	args := strings.Fields(command)
	for i, arg := range args {
		args[i] = strings.NewReplacer("$D", d.env["D"], "$R", d.env["R"], "$H", d.env["H"], `"`, "").Replace(arg)
	}
	var out bytes.Buffer
	w := d.world()
	w.Stdout, w.Stderr = &out, &out
	code := Run(ctx, args, w)
	d.commands = append(d.commands, demoCommand{Command: "tufoci " + command, ExitCode: code})
	for line := range strings.Lines(out.String()) {
		fmt.Fprint(d.out, "  "+line)
	}
	if code != exitOK {
		fmt.Fprintf(d.out, "  (exit %d)\n", code)
	}
	if code == exitInterrupted {
		return ctx.Err()
	}
	if code != want {
		return fmt.Errorf("tufoci %s: exit %d, expected %d: %s", command, code, want, oneLine(out.String()))
	}
	return nil
}

// world is that of the story: nothing of the user's own home is in it.
func (d *demo) world() World {
	return World{
		Now: d.app.world.Now,
		LookupEnv: func(name string) (string, bool) {
			v, ok := d.env[name]
			return v, ok
		},
	}
}

func (d *demo) file(name, content string) error {
	return writeFile(filepath.Join(d.dir, name), []byte(content), 0o600)
}

// quote puts a word with spaces in quotes for a shell.
func quote(s string) string {
	if strings.ContainsAny(s, " '\"$\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
