package metadata

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// File is one file of a repository, named by its title in a bundle: "metadata/…" or "targets/…".
type File struct {
	Name   string
	Data   []byte // nil: only the registry of the head has the bytes
	SHA256 string // hex
	Length int64
}

// Head is the verified state of the channel: every metadata file with its bytes, target files with or without. Metadata
// that is byte for byte what the workspace published last may come without bytes too, by its SHA256.
// The caller has verified it as a client; Assemble trusts it once its root chain fits the workspace.
type Head struct {
	Digest string // of the bundle
	Files  []File
}

// AssembleOptions steer Assemble.
type AssembleOptions struct {
	Now              time.Time // default: the clock of the workspace
	TimestampVersion int64     // least version of the new timestamp; 0: the next one
	DryRun           bool      // nothing is written to the workspace, not even signatures
}

// Release is a complete repository, ready to be verified and pushed.
type Release struct {
	Files []File // sorted by name
	// Unchanged: equal to the head, so that there is nothing to push; Published may still have to be told. Without a head:
	// equal to what was published last, here or in the place that it was adopted from, all of which is to be pushed.
	Unchanged bool

	RootVersion, TimestampVersion, SnapshotVersion, TargetsVersion int64

	Expires  map[string]time.Time // of the top-level roles and of those changed
	Changed  []RoleChange         // against the head, in the order of their writing
	Root1    []byte               // the first root; of a workspace its Root1
	Warnings []Finding            // what lint says that does not stop a publish
	Waiting  []WaitingRole        // of Refresh: roles that are due and were not renewed

	onto *headState // the head that it changes, nil for none
}

// RoleChange is one role that the release changes.
type RoleChange struct {
	Role     string
	From, To int64  // From 0: new
	Why      string // staged, renewed, proposed, online
}

// Why a role is in a release.
const (
	whyStaged   = "staged"   // edited here
	whyRenewed  = "renewed"  // inside its renewal window, or its keys or periods changed
	whyProposed = "proposed" // by the holders of its keys, elsewhere
	whyOnline   = "online"   // follows from the others: snapshot, timestamp, a new hash bin
)

// Assemble makes the next state of the repository. What is staged replaces the roles of the head, which are else taken
// over byte for byte, also those that others have published since; online roles that are due or new are signed; snapshot
// and timestamp follow. head is nil when the channel is empty.
//
// Unless it is a dry run, the signatures that it makes on staged and renewed roles are saved before it returns, so that
// a publish that is killed can be repeated with the same bytes. It writes nothing when it fails.
//
// Errors: *ConflictError, *NeedSignaturesError, *LintError, ErrForeignHead, and those of opening private keys.
func (w *Workspace) Assemble(ctx context.Context, head *Head, o AssembleOptions) (*Release, error) {
	if !o.DryRun {
		if err := w.writable(); err != nil {
			return nil, err
		}
	}
	if o.Now.IsZero() {
		o.Now = w.now()
	}
	h, err := w.baseAsHead()
	if head != nil {
		h, err = newHeadState(head, w.base)
	}
	if err != nil {
		return nil, err
	}
	if err := w.lineage(h); err != nil {
		return nil, err
	}
	d := &draft{assembly: newAssembly(ownSigning{w, w.newSigners()}, w.parsed, h, o.Now, o.TimestampVersion), w: w, dryRun: o.DryRun}
	d.noSpareKey = w.cfg.NoSpareKey
	if w.base != nil {
		d.least = w.base.least
	}
	r, err := d.run(ctx,
		d.takeStaged, // over the head, where it has not moved
		d.signRoles,  // what is staged, new, or under other keys than before
		d.renewRoles, // online roles inside their window
		d.makeSnapshot,
		d.makeTimestamp,
		d.complete,
		d.lint,
		d.save,
	)
	if err == nil && w.base != nil {
		r.Root1, err = w.Root1()
	}
	return r, err
}

// signing is what an assembly leaves to whom it is made for: a workspace, or a refresh.
type signing interface {
	// online reports whether the role is signed without having been staged.
	online(role string, isBin bool) bool
	// lifeOf is how long new versions of a role live, whose newest file is f; nil for a new one.
	lifeOf(role string, isBin bool, f *roleFile) (life, error)
	// due reports whether a role is to be renewed.
	due(f *roleFile, l life, now time.Time) bool
	// atHand lists the keys among those of the rules that can sign, by names that sign takes.
	atHand(rules ...rule) []string
	// sign signs a file, see signers.sign.
	sign(ctx context.Context, f *roleFile, rules []rule, names []string, enough bool) (*roleFile, []string, error)
	keyInfo(id string, key *tuf.Key, signed bool) KeyInfo
	// blob returns the bytes of a target file, nil if they are not here.
	blob(n entry) ([]byte, error)
}

// assembly makes the next state of a repository.
type assembly struct {
	by               signing
	parsed           parsedFiles
	head             *headState // nil: the channel is empty
	now              time.Time
	timestampVersion int64            // least one, 0: the next one
	least            map[string]int64 // least versions of other roles, where the next ones are not enough
	noSpareKey       bool

	next    map[string]*roleFile // the roles of the release
	staged  map[string]*roleFile // those of them that were edited here
	view    *view                // of next
	changed []RoleChange
	toSave  []*roleFile
	needs   []RoleSignatures
	notes   []Finding
}

func newAssembly(by signing, parsed parsedFiles, h *headState, now time.Time, timestampVersion int64) *assembly {
	a := &assembly{
		by: by, parsed: parsed, head: h, now: now, timestampVersion: timestampVersion,
		next: map[string]*roleFile{}, staged: map[string]*roleFile{},
	}
	if h != nil {
		maps.Copy(a.next, h.roles)
		a.next[tuf.ROOT] = h.role(tuf.ROOT)
	}
	a.view = parsed.viewOf(func(role string) *roleFile { return a.next[role] })
	return a
}

// run takes the steps, and writes down what came of them.
func (a *assembly) run(ctx context.Context, steps ...func(context.Context) error) (*Release, error) {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a.release()
}

// draft is one run of Assemble: an assembly of what is staged in a workspace.
type draft struct {
	*assembly
	w      *Workspace
	dryRun bool
}

// ownSigning is the signing of a workspace: what tufoci.yaml says, with its keys.
type ownSigning struct {
	*Workspace
	*signers
}

func (s ownSigning) lifeOf(role string, isBin bool, _ *roleFile) (life, error) {
	if isBin {
		role = binsRole
	}
	period, renew := s.cfg.Periods(role)
	return life{period, renew}, nil
}

// due: little life left, or a period that is not that of tufoci.yaml.
func (s ownSigning) due(f *roleFile, l life, now time.Time) bool {
	return f.expires.Sub(now) < l.renewWithin || f.period != 0 && f.period != l.period
}

// complete fails if thresholds are missing.
func (a *assembly) complete(context.Context) error {
	if len(a.needs) > 0 {
		return &NeedSignaturesError{Roles: a.needs}
	}
	return nil
}

// lint checks the roles that change.
func (a *assembly) lint(context.Context) error {
	in := LintInput{Roles: map[string][]byte{}, NoSpareKey: a.noSpareKey}
	for _, c := range a.changed {
		data, err := bytesOf(a.next[c.Role])
		if err != nil {
			return err
		}
		in.Roles[c.Role] = data
	}
	found := Lint(in)
	a.notes = append(a.notes, found...)
	if errs := LintErrors(found); len(errs) > 0 {
		return &LintError{Findings: errs}
	}
	return nil
}

// save keeps the signatures that were made on other roles than snapshot and timestamp, which are made anew each time;
// and on those that others have moved, which the base of this workspace does not know yet.
func (d *draft) save(context.Context) error {
	if d.dryRun {
		return nil
	}
	d.w.recordSeen()
	return d.w.saveStaged(slices.DeleteFunc(d.toSave, func(f *roleFile) bool {
		return !d.w.base.follows(f.role, f.version)
	}))
}

// put makes a file the one of its role.
func (a *assembly) put(f *roleFile, why string) {
	a.next[f.role] = f
	a.view.walked = nil
	a.changed = append(a.changed, RoleChange{Role: f.role, From: a.head.version(f.role), To: f.version, Why: why})
}

// headRule is the rule of a role as the head has it, from the delegator that has the same name now; nil if it has none.
func (a *assembly) headBins() (*rule, error) {
	if a.head == nil {
		return nil, nil
	}
	v := a.parsed.viewOf(a.head.role)
	bins, err := v.bins()
	if err != nil || bins == nil {
		return nil, err
	}
	md, err := v.targets(bins.parent)
	if err != nil {
		return nil, err
	}
	r := delegationRule(bins.parent, md, *bins)
	return &r, nil
}

// need notes a role that lacks signatures.
func (a *assembly) need(f *roleFile, rules []rule) error {
	s, err := countSignatures(f, rules, a.by.keyInfo)
	if err != nil {
		return fmt.Errorf("counting signatures: %w", err)
	}
	a.needs = append(a.needs, s)
	return nil
}
