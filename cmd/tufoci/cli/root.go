package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const defaultTimeout = 5 * time.Minute

// globalFlags are the flags of every command.
type globalFlags struct {
	workspace string
	config    string
	stateDir  string
	cacheDir  string
	format    string
	quiet     bool
	debug     bool
	noTTY     bool
	yes       bool
	timeout   span
}

// Groups of commands in the help of the program.
const (
	groupSetUp     = "setup"
	groupContent   = "content"
	groupOperate   = "operate"
	groupClient    = "client"
	groupMirror    = "mirror"
	groupEverybody = "everybody"
)

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tufoci",
		Short: "TUF repositories in OCI registries: publish, pin, verify, mirror",
		Long: `tufoci stores a TUF repository in an OCI registry, as one artifact that every
copy tool moves, and reads it back from a pinned root.

A first try: tufoci demo`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(a.world.Stdin)
	root.SetOut(a.world.Stdout)
	root.SetErr(a.world.Stderr)
	root.AddGroup(
		&cobra.Group{ID: groupSetUp, Title: "Publisher: set-up"},
		&cobra.Group{ID: groupContent, Title: "Publisher: content, which is staged until it is published"},
		&cobra.Group{ID: groupOperate, Title: "Publisher: signing and publishing"},
		&cobra.Group{ID: groupClient, Title: "Client"},
		&cobra.Group{ID: groupMirror, Title: "Mirrors and other clients"},
		&cobra.Group{ID: groupEverybody, Title: "For everybody"},
	)
	a.addGlobalFlags(root)
	a.addCommands(root)
	return root
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	a.global.timeout = span(defaultTimeout)
	f, g := root.PersistentFlags(), &a.global
	f.StringVarP(&g.workspace, "workspace", "C", ".", "workspace `DIR`, which holds tufoci.yaml")
	f.StringVar(&g.config, "config", "", "trusts in `FILE`, called trust.yaml (default $XDG_CONFIG_HOME/tufoci/trust.yaml)")
	f.StringVar(&g.stateDir, "state-dir", "", "verified state of the trusts in `DIR` (default $XDG_STATE_HOME/tufoci)")
	f.StringVar(&g.cacheDir, "cache-dir", "", "cached target files in `DIR` (default $XDG_CACHE_HOME/tufoci)")
	f.StringVar(&g.format, "format", formatText, "output `FORMAT`: text or json; inspect and discover have tree too")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&g.debug, "debug", "d", false, "print what lies under an error")
	f.BoolVar(&g.noTTY, "no-tty", false, "never ask, draw no progress")
	f.BoolVarP(&g.yes, "yes", "y", false, "answer confirmations with yes")
	f.Var(&g.timeout, "timeout", "limit of the whole operation, as `DURATION`")
}

// addCommands is the one list of commands.
func (a *app) addCommands(root *cobra.Command) {
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupSetUp, []*cobra.Command{a.newInit(), a.newKey(), a.newRole()}},
		{groupContent, []*cobra.Command{
			a.newTarget(), a.newImage(), a.newCert(), a.newCRL(), a.newPolicy(), a.newRevoke(), a.newStatus(), a.newDiff(), a.newReset(),
		}},
		{groupOperate, []*cobra.Command{
			a.newSign(), a.newCeremony(), a.newPayload(), a.newSignPayload(), a.newAddSignature(), a.newPublish(), a.newRefresh(), a.newCheck(),
			a.newLog(), a.newPrune(), a.newRollback(), a.newRotate(), a.newDoctor(), a.newAttach(), a.newDiscover(),
		}},
		{groupClient, []*cobra.Command{a.newTrust(), a.newVerify(), a.newResolve(), a.newGet(), a.newLs(), a.newInspect()}},
		{groupMirror, []*cobra.Command{a.newMirror(), a.newCp(), a.newServe()}},
		{groupEverybody, []*cobra.Command{a.newDemo(), a.newLogin(), a.newLogout(), a.newVersion(), a.newCompletion()}},
	} {
		for _, cmd := range group.commands {
			cmd.GroupID = group.id
			root.AddCommand(cmd)
		}
	}
	root.SetHelpCommandGroupID(groupEverybody)
}

// globalEnv binds global flags to variables. A flag wins over a variable.
var globalEnv = map[string]string{
	"workspace": envWorkspace,
	"config":    envConfig,
	"state-dir": envStateDir,
	"cache-dir": envCacheDir,
	"format":    envFormat,
	"timeout":   envTimeout,
}

// settle fills what no flag said from the environment and checks the result.
func (a *app) settle(cmd *cobra.Command) error {
	for flag, variable := range globalEnv {
		f := cmd.Flags().Lookup(flag)
		if v := a.env.get(variable); v != "" && !f.Changed {
			if err := f.Value.Set(v); err != nil {
				return fmt.Errorf("%s: %w", variable, err)
			}
		}
	}
	a.global.noTTY = a.global.noTTY || a.env.isTrue(envNoTTY)
	a.global.debug = a.global.debug || a.env.isTrue(envDebug)
	allowed := []string{formatText, formatJSON}
	if cmd.Annotations[annotationTree] != "" {
		allowed = append(allowed, formatTree)
	}
	if !slices.Contains(allowed, a.global.format) {
		what := fmt.Sprintf("--format %q: this command has %s", a.global.format, joinWords(allowed))
		a.global.format = formatText
		return errors.New(what)
	}
	return nil
}

// presetFormat finds the format before flags are parsed, so that a wrong
// flag is reported in the format that was asked for.
func presetFormat(args []string, env environment) string {
	format := env.get(envFormat)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if v, ok := strings.CutPrefix(arg, "--format="); ok {
			format = v
		} else if arg == "--format" && i+1 < len(args) {
			format = args[i+1]
		}
	}
	if format != formatJSON {
		return formatText
	}
	return format
}

// newGroup is a command that only holds others: alone it is a usage error that
// lists them.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use + " COMMAND",
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			names := make([]string, 0, len(commands))
			for _, c := range cmd.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			if len(args) == 0 {
				return usagef("%s needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
			}
			return usagef("unknown command %q: %s has %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}
