package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/dct"
	"github.com/tufoci/tufoci/doctor"
	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
	"github.com/tufoci/tufoci/verify/notationdir"
)

var commandInText = regexp.MustCompile("`([^`]*)`")

// loosening are flags and commands that switch a check off or widen one.
var loosening = []string{"--limit", "--min-level", "--require", "--also", "--allow-expired", "--max-stale", "--insecure", "--plain-http", "--forget", "--frozen", "--no-spare-key", "--as-of", "trust rm"}

// Each command in a Next line exists in this version, with its flags, and
// loosens no check.
func TestNextLinesNameWhatExists(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	root := a.newRoot()
	for _, r := range rules {
		for _, next := range r.next {
			checkNext(t, root, next)
		}
	}
	// A warning names a command too, and what follows a rotation.
	for _, next := range []string{nextSeveral, nextSign, nextPublish, nextRebase, unusedKey("{key}")} {
		checkNext(t, root, next)
	}
	checkNext(t, root, "`tufoci trust add --min-timestamp`")
}

// What a doctor advises exists too.
func TestDoctorNamesWhatExists(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../doctor/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	root := newApp(World{}).newRoot()
	ours := regexp.MustCompile("`tufoci [^`]*`")
	found := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, next := range ours.FindAllString(string(data), -1) {
			found++
			checkNext(t, root, next)
		}
	}
	if found < 10 {
		t.Errorf("only %d commands found", found)
	}
}

func checkNext(t *testing.T, root *cobra.Command, next string) {
	t.Helper()
	for _, m := range commandInText.FindAllStringSubmatch(next, -1) {
		line := strings.NewReplacer("{command}", "tufoci get", "{again}", "tufoci verify IMAGE", "{noun}", "image", "{pin}", "tufoci trust add --help").Replace(m[1])
		for _, word := range loosening {
			if strings.Contains(line, word) {
				t.Errorf("%q loosens a check", next)
			}
		}
		words := strings.Fields(line)
		if words[0] != "tufoci" {
			t.Errorf("%q: %q is not ours", next, words[0])
			continue
		}
		cmd, rest, err := root.Find(words[1:])
		if err != nil || !cmd.Runnable() || cmd.HasSubCommands() {
			t.Errorf("%q: no such command: %v", next, err)
			continue
		}
		for _, word := range rest {
			name, isFlag := strings.CutPrefix(word, "--")
			if isFlag && name != "help" && flagOf(cmd, name) == nil {
				t.Errorf("%q: %s has no flag --%s", next, cmd.CommandPath(), name)
			}
		}
	}
}

func flagOf(cmd *cobra.Command, name string) *pflag.Flag {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f
	}
	return cmd.InheritedFlags().Lookup(name)
}

// Every exit code of every kind of error, wrapped as libraries wrap them.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
	}{
		{errors.New("anything"), 1},
		{trust.ErrTargetNotFound, 1},
		{fs.ErrNotExist, 1},
		{usagef("no"), 2},
		{trust.ErrImageTarget, 2},
		{trust.ErrConfig, 2},
		{metadata.ErrNoWorkspace, 2},
		{&metadata.ConfigError{File: "tufoci.yaml", Err: metadata.ErrInvalid}, 2},
		{metadata.ErrInvalid, 2},
		{ociremote.ErrInvalidReference, 2},
		{fetcher.ErrInvalidSource, 2},
		{publish.ErrImageHost, 2},
		{fetcher.ErrNoRepository, 11},
		{ociremote.ErrForeign, 11},
		{publish.ErrHeadMissing, 11},
		{publish.ErrNoImage, 11},
		{publish.ErrNoVersion, 11},
		{publish.ErrNoRoot, 2},
		{fmt.Errorf("%w: %w", publish.ErrNoDelete, &ociremote.TransportError{Host: "h", Status: 405}), 1},
		{publish.ErrTooManyTags, 25},
		{&metadata.StagedError{Roles: []string{"targets"}}, 33},
		{&overwrittenError{}, 40},
		{&strandedError{err: trust.ErrThreshold}, 22},
		{trust.ErrMismatch, 12},
		{&metadata.ImageDiffersError{}, 12},
		{trust.ErrExpired, 20},
		{&mirror.ShortLivedError{}, 20},
		{&behindError{}, 20},
		{mirror.ErrCargo, 25},
		{mirror.ErrConfig, 2},
		{mirror.ErrLocked, 41},
		{&dct.ExpiredError{}, 20},
		{dct.ErrSignature, 22},
		{dct.ErrRoot, 23},
		{dct.ErrFormat, 25},
		{publish.ErrPartial, 25},
		{publish.ErrAdopt, 33},
		{fmt.Errorf("%w: %w", publish.ErrAdopt, trust.ErrThreshold), 22},
		{&doctor.UnwellError{Failed: []doctor.Check{{Err: doctor.ErrUnfit}}}, 33},
		{&doctor.UnwellError{Failed: []doctor.Check{{Err: doctor.ErrClock}}}, 20},
		{&doctor.UnwellError{Failed: []doctor.Check{{Err: doctor.ErrState}}}, 20},
		{&doctor.UnwellError{Failed: []doctor.Check{{Err: &ociremote.AuthError{Host: "h", Status: 401}}}}, 51},
		{trust.ErrStaleCopy, 20},
		{trust.ErrClock, 20},
		{fmt.Errorf("%w: x: not a regular file", trust.ErrState), 25},
		{trust.ErrStateFormat, 25},
		{fmt.Errorf("%w: %w", trust.ErrConfig, trust.ErrStateFormat), 25},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 1},
		{fmt.Errorf("%w: %w", publish.ErrNotSigned, syscall.EDQUOT), 1},
		{trust.ErrNoHome, 2},
		{&trust.UnreachableError{}, 50},
		{&verify.NoCopyError{}, 11},
		{&verify.NoCopyError{Home: trust.ErrNoState}, 20},
		{&verify.NoCopyError{Home: &ociremote.TransportError{Host: "h"}}, 50},
		{&verify.NoCopyError{Home: &trust.UnreachableError{}, Foreign: trust.ErrWrongRoot}, 50},
		{&verify.NoCopyError{Foreign: trust.ErrWrongRoot}, 23},
		{trust.ErrRollback, 21},
		{trust.ErrMinTimestamp, 21},
		{ceremony.ErrFormat, 25},
		{fmt.Errorf("%w: %w", ceremony.ErrFormat, metadata.ErrSignature), 25},
		{ceremony.ErrNewerFormat, 25},
		{metadata.ErrPayload, 25},
		{ceremony.ErrOther, 12},
		{&ceremony.BaseError{Frozen: 3, Published: 4}, 40},
		{&ceremony.BaseError{Frozen: 3, Published: 3}, 12},
		{&ceremony.IncompleteError{}, 31},
		{ceremony.ErrNeedsKey, 2},
		{ceremony.ErrLocked, 41},
		{&metadata.FrozenError{}, 33},
		{metadata.ErrChanged, 33},
		{metadata.ErrNotFrozen, 1},
		{metadata.ErrSignature, 22},
		{&trust.VerificationError{Kind: trust.ErrThreshold, Role: "timestamp", Got: 0, Need: 1}, 22},
		{trust.ErrNoTrust, 23},
		{trust.ErrWrongRoot, 23},
		{trust.ErrExists, 23},
		{&unpinnedError{source: "x/y"}, 23},
		{trust.ErrMalformed, 25},
		{&ociremote.MalformedError{What: "bundle", Err: errors.New("x")}, 25},
		{ociremote.ErrNewerFormat, 25},
		{&fetcher.LimitError{Title: "x", Size: 2, Max: 1}, 25},
		{publish.ErrPartial, 25},
		{serve.ErrPartial, 25},
		{&verify.Refusal{Kind: verify.ErrUnmapped}, 10},
		{&verify.Refusal{Kind: verify.ErrNoSignature}, 10},
		{&verify.Refusal{Kind: verify.ErrLevel}, 10},
		{&verify.Refusal{Kind: verify.ErrImageNotFound, Err: ociremote.ErrNotFound}, 11},
		{&verify.Refusal{Kind: verify.ErrDiffers}, 12},
		{&verify.Refusal{Kind: verify.ErrEnvelope}, 12},
		{&verify.Refusal{Kind: verify.ErrUntrusted}, 13},
		{&verify.Refusal{Kind: verify.ErrNoStatement}, 13},
		{&trust.NoScopeError{Repository: "registry.acme.io/shop/api"}, 23},
		{&notDecidingError{image: "registry.acme.io/shop/api:1", asked: []string{"a"}}, 23},
		{trust.ErrScopeTaken, 23},
		{trust.ErrInvalidScope, 2},
		{&verify.Refusal{Kind: verify.ErrRevoked}, 24},
		{&verify.Refusal{Kind: verify.ErrMaterial}, 25},
		{trust.ErrRevocations, 25},
		{&verify.Refusal{Kind: verify.ErrNoPolicy}, 33},
		{&verify.Refusal{Kind: verify.ErrPolicyScope}, 33},
		{nothingError{}, 30},
		{&metadata.NeedSignaturesError{}, 31},
		{metadata.ErrPassphrase, 32},
		{metadata.ErrKeyMissing, 32},
		{metadata.ErrKeyInUse, 33},
		{metadata.ErrKeyExists, 2},
		{metadata.ErrLint, 33},
		{metadata.ErrLastVersion, 33},
		{&metadata.ImageInUseError{}, 33},
		{material.ErrInvalid, 33},
		{material.ErrIssuer, 33},
		{material.ErrOlder, 33},
		{metadata.ErrReserved, 33},
		{&publish.ForeignTagError{Tag: "tuf", Err: ociremote.ErrForeign}, 33},
		{metadata.ErrForeignHead, 33},
		{notationdir.ErrForeign, 33},
		{notationdir.ErrOtherTrust, 33},
		{&notationdir.ScopeClashError{}, 33},
		{notationdir.ErrPolicy, 33},
		{notationdir.ErrState, 25},
		{notationdir.ErrLocked, 41},
		{&metadata.ConflictError{}, 40},
		{&metadata.RebaseConflictError{}, 40},
		{publish.ErrMoving, 40},
		{&publish.ForkError{}, 40},
		{&publish.PendingError{}, 40},
		{metadata.ErrProposal, 33},
		{metadata.ErrLocked, 41},
		{&ociremote.TransportError{Host: "h", Status: 503}, 50},
		{fetcher.ErrLostBlob, 50},
		{fetcher.ErrTooSlow, 50},
		{&timeoutError{}, 50},
		{context.DeadlineExceeded, 50},
		{&ociremote.AuthError{Host: "h", Status: 401}, 51},
		{&interruptedError{err: context.Canceled}, 130},
	} {
		a := newApp(World{})
		wrapped := fmt.Errorf("reading: %w", fmt.Errorf("deeper: %w", c.err))
		if got := a.report(wrapped).ExitCode; got != c.code {
			t.Errorf("%T %v: exit %d, want %d", c.err, c.err, got, c.code)
		}
	}
}

// The report of an error has all three parts where a rule has them, also where
// names are missing.
func TestReportFallsBackWithoutNames(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	a.subject = subject{command: "tufoci get", source: "reg/x"}
	r := a.report(trust.ErrTargetNotFound)
	if r.Next != "`tufoci ls reg/x`" {
		t.Errorf("Next: %q", r.Next)
	}
	a.subject.trust = "acme"
	if r := a.report(trust.ErrTargetNotFound); r.Next != "`tufoci ls acme`" {
		t.Errorf("Next: %q", r.Next)
	}
}

// What is proposed can be pasted into a shell, whatever names others have chosen, and no
// name passes for a part of our own words.
func TestNamesInCommandsAreWords(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	a.subject = subject{command: "tufoci get", source: "oci-layout:my {trust}:tuf"}
	if r := a.report(trust.ErrTargetNotFound); r.Next != "`tufoci ls 'oci-layout:my {trust}:tuf'`" {
		t.Errorf("Next: %q", r.Next)
	}
	hostile := &metadata.NeedSignaturesError{Roles: []metadata.RoleSignatures{{Role: "x; touch 'y'\n"}}}
	if r := a.report(hostile); !strings.Contains(r.Next, `tufoci sign 'x; touch '\''y'\''`) {
		t.Errorf("Next: %q", r.Next)
	}
	inUse := &metadata.ImageInUseError{Tags: []string{"images/a:1", "images/$(b)"}}
	if r := a.report(inUse); r.Next != "`tufoci image rm images/a:1 'images/$(b)'`, which takes the digest along" {
		t.Errorf("Next: %q", r.Next)
	}
}

// What is said depends on the gravest that an error holds, not on what carries it.
func TestReportSaysWhatHelps(t *testing.T) {
	t.Parallel()
	a := newApp(World{})
	a.subject = subject{command: "tufoci get", trust: "acme"}
	for _, c := range []struct {
		err         error
		code        int
		cause, next string
	}{
		{&ociremote.TransportError{Host: "h", Err: fetcher.ErrTooSlow}, 50, "slow", "`tufoci trust show acme`"},
		{&ociremote.TransportError{Host: "h", Err: fetcher.ErrTimeout}, 50, "slow", "`tufoci trust show acme`"},
		{&ociremote.TransportError{Host: "h", Err: ociremote.ErrRedirect}, 50, "sends on", "`tufoci version`"},
		{&ociremote.TransportError{Host: "h", Err: io.EOF}, 50, "could not be reached", "`tufoci get` again"},
		{fmt.Errorf("%w: trust.yaml: x", trust.ErrConfig), 2, "trust.yaml", "correct the file"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, 1, "the file system", "can be written"},
	} {
		r := a.report(c.err)
		if r.ExitCode != c.code || !strings.Contains(r.Cause, c.cause) || !strings.Contains(r.Next, c.next) {
			t.Errorf("%v: exit %d, cause %q, next %q; want %d, %q, %q", c.err, r.ExitCode, r.Cause, r.Next, c.code, c.cause, c.next)
		}
	}
}

func TestPrintableStopsEscapes(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table(&out, []string{"A"}, [][]string{{"x\x1b[31m\u009b\r"}})
	if strings.ContainsAny(out.String(), "\x1b\u009b\r") {
		t.Errorf("%q", out.String())
	}
}

// What runs must have a line of help, and what has a short line has no dot.
func TestCommandsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, cmd := range allCommands(newApp(World{}).newRoot()) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q", cmd.CommandPath(), cmd.Short)
		}
		if cmd.RunE == nil && cmd.HasParent() {
			t.Errorf("%s does nothing", cmd.CommandPath())
		}
		cmd.SetOut(io.Discard)
		if err := cmd.Help(); err != nil {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
	}
}

func allCommands(cmd *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		out = append(out, allCommands(c)...)
	}
	return out
}

// Nouns share their verbs' other names.
func TestAliases(t *testing.T) {
	t.Parallel()
	root := newApp(World{}).newRoot()
	for alias, want := range map[string]string{
		"cp": "tufoci cp", "mirror copy": "tufoci mirror copy",
		"trust ls": "tufoci trust list", "trust remove": "tufoci trust rm", "trust delete": "tufoci trust rm",
		"role ls": "tufoci role list", "delegation list": "tufoci role list",
		"target ls": "tufoci target list", "target delete": "tufoci target rm", "target remove": "tufoci target rm",
		"image ls": "tufoci image list", "tag list": "tufoci image list", "image delete": "tufoci image rm", "tag remove": "tufoci image rm",
		"revoke certificate": "tufoci revoke cert",
		"cert ls":            "tufoci cert list", "certificate remove": "tufoci cert rm", "certificate delete": "tufoci cert rm",
		"crl ls": "tufoci crl list", "crl remove": "tufoci crl rm", "crl delete": "tufoci crl rm",
		"key ls": "tufoci key list", "key remove": "tufoci key rm", "key delete": "tufoci key rm",
	} {
		cmd, _, err := root.Find(strings.Fields(alias))
		if err != nil || cmd.CommandPath() != want {
			t.Errorf("%s is %s, want %s: %v", alias, cmd.CommandPath(), want, err)
		}
	}
	if !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "demo" }) {
		t.Error("no demo")
	}
}

// Whoever asks a command for help sees one that can be run.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if cmd.HasSubCommands() || cmd.Hidden || cmd.Name() == "help" {
			return
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example", cmd.CommandPath())
		}
	}
	walk(newApp(World{}).newRoot())
}
