package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
)

const (
	// proposedFile says what was proposed from a workspace.
	proposedFile = "proposed.json"
	// maxManifests is how many manifests are remembered of one version of a role: those under which it can be in the
	// registry still.
	maxManifests = 16
)

// ProposedRole is a version of a role that was proposed from this workspace.
type ProposedRole struct {
	Role    string `json:"role"`
	Version int64  `json:"version"`
	Tag     string `json:"tag"`
	// SHA256 is the hex checksum of its file.
	SHA256 string `json:"sha256"`
	// Manifests are the digests under which it was, or was about to be, sent, the newest last.
	Manifests []string  `json:"manifests"`
	At        time.Time `json:"at"`
	// Sent is false until the registry is known to have it.
	Sent bool `json:"sent"`
}

// RoleProposal is a staged role, judged and ready to be sent.
type RoleProposal struct {
	Proposal
	From, Version int64
	// Release is the head with it: what whoever folds it in makes, but for snapshot and timestamp.
	Release *Release
	// Published: the head has what is staged; there is nothing to propose.
	Published bool
	// Missing are roles that it delegates to and that nobody has made yet: it is folded in with them.
	Missing []string
}

// Propose judges what is staged of a role against the head, as whoever folds it in does: together with what this
// workspace has proposed of other roles and the head does not have yet. Nothing is written.
//
// Errors: ErrNotStaged, *ConflictError if the head has moved the role, *FrozenError while people are signing it,
// ErrProposal, ErrForeignHead, *NeedSignaturesError, *LintError, ErrNoRole, ErrNotDelegated.
func (w *Workspace) Propose(ctx context.Context, head *Head, role string, now time.Time) (*RoleProposal, error) {
	if err := checkProposable(role); err != nil {
		return nil, err
	}
	h, err := newHeadState(head, w.base)
	if err != nil {
		return nil, err
	}
	if err := w.lineage(h); err != nil {
		return nil, err
	}
	f := w.staged[role]
	if f == nil {
		return nil, fmt.Errorf("%w in role %q", ErrNotStaged, role)
	}
	p := &RoleProposal{From: h.version(role), Version: f.version}
	if p.Published, err = w.draftOf(h).superseded(f, w.base.role(role), h.role(role)); err != nil || p.Published {
		return p, err
	}
	if f.version != p.From+1 {
		return nil, &ConflictError{Roles: []RoleConflict{{
			Role: role, BaseVersion: w.base.version(role), StagedVersion: f.version, HeadVersion: p.From,
		}}}
	}
	if freeze := w.frozen(role); freeze != nil {
		return nil, &FrozenError{role, *freeze} // a publish leaves it out too
	}
	if err := w.judge(ctx, h, p, f, now); err != nil {
		return nil, err
	}
	return p, nil
}

// judge completes a proposal, or says why it would not be folded in.
func (w *Workspace) judge(ctx context.Context, h *headState, p *RoleProposal, f *roleFile, now time.Time) error {
	j := newJudgement(h, w.parsed, now, w.keyInfo)
	if err := w.acceptProposed(j, f.role); err != nil {
		return err
	}
	data, err := bytesOf(f)
	if err != nil {
		return err
	}
	p.Role, p.Data = f.role, data
	switch _, err := j.one(p.Proposal); {
	case errors.Is(err, ErrNoRole):
		return fmt.Errorf("%w: nothing that is published, or was proposed from here, delegates to it: %w", ErrProposal, err)
	case err != nil:
		return err
	}
	j.accept(f)
	if err := p.findMissing(j); err != nil {
		return err
	}
	a := newAssembly(ownSigning{w, w.newSigners()}, w.parsed, h, now, 0)
	for _, role := range slices.Sorted(maps.Keys(j.next)) {
		if next := j.next[role]; next != a.next[role] {
			a.put(next, whyProposed)
		}
	}
	if p.Release, err = a.run(ctx, a.lint); err != nil {
		return err
	}
	return p.addFiles(h)
}

// acceptProposed puts what this workspace has proposed of other roles over the head, as far as it holds up.
func (w *Workspace) acceptProposed(j *judgement, but string) error {
	records, err := w.Proposed()
	if err != nil {
		return err
	}
	var others []Proposal
	for _, r := range records {
		f := w.staged[r.Role]
		if !r.Sent || r.Role == but || f == nil || f.sum != r.SHA256 {
			continue
		}
		data, err := bytesOf(f)
		if err != nil {
			return err
		}
		others = append(others, Proposal{Role: r.Role, Data: data})
	}
	j.each(others, make([]error, len(others)), nil)
	return nil
}

// findMissing finds what the role delegates to and nobody has made. Anything else that is not as it says is an error.
func (p *RoleProposal) findMissing(j *judgement) error {
	edges, err := j.view.delegations(p.Role)
	if err != nil {
		return err
	}
	for _, d := range edges {
		if d.role != nil && j.next[d.role.Name] == nil {
			p.Missing = append(p.Missing, d.role.Name)
		}
	}
	if len(p.Missing) > 0 {
		return nil
	}
	return j.hollow(p.Role)
}

// addFiles adds the target files that the head does not have.
func (p *RoleProposal) addFiles(h *headState) error {
	listed, err := ListedFiles(p.Role, p.Data)
	if err != nil {
		return err
	}
	for _, f := range listed {
		if h.targets[f.Name].SHA256 == f.SHA256 {
			continue
		}
		i := slices.IndexFunc(p.Release.Files, func(r File) bool { return r.Name == f.Name })
		if i < 0 || p.Release.Files[i].Data == nil {
			return fmt.Errorf("%w: %s", ErrNotAtHand, f.Name)
		}
		p.Files = append(p.Files, p.Release.Files[i])
	}
	return nil
}

// draftOf is a run of Assemble that writes nothing, to ask it questions.
func (w *Workspace) draftOf(h *headState) *draft {
	return &draft{assembly: newAssembly(ownSigning{w, w.newSigners()}, w.parsed, h, w.now(), 0), w: w, dryRun: true}
}

// TakeOver makes the head the base, as a publish with nothing to publish does. What is staged stays, unless the head has
// it. A *ConflictError says that a staged role was published by someone else: then everything stays as it is.
func (w *Workspace) TakeOver(head *Head, tag string, at time.Time) error {
	if err := w.writable(); err != nil {
		return err
	}
	if w.base != nil && !w.base.adopt && w.base.info.Digest == head.Digest {
		return nil
	}
	h, err := newHeadState(head, w.base)
	if err != nil {
		return err
	}
	if err := w.lineage(h); err != nil {
		return err
	}
	var moved []RoleConflict
	for _, role := range slices.Sorted(maps.Keys(w.staged)) {
		stays, err := w.stays(h, role)
		if err != nil {
			return err
		}
		if !stays {
			moved = append(moved, RoleConflict{
				Role: role, BaseVersion: w.base.version(role), StagedVersion: w.staged[role].version, HeadVersion: h.version(role),
			})
		}
	}
	if len(moved) > 0 {
		return &ConflictError{Roles: moved}
	}
	return w.Published(&Release{Files: head.Files}, head.Digest, tag, at)
}

// stays reports whether what is staged of a role still follows the head, or is in it.
func (w *Workspace) stays(h *headState, role string) (bool, error) {
	published, theirs := w.base.role(role), h.role(role)
	if theirs == nil && h.version(role) == 0 || theirs != nil && published != nil && theirs.sum == published.sum {
		return true, nil
	}
	return w.draftOf(h).superseded(w.staged[role], published, theirs)
}

// Proposed lists what was proposed from here and is not in the base yet.
func (w *Workspace) Proposed() ([]ProposedRole, error) {
	data, err := readBounded(w.path(proposedFile), maxRoleFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list proposedList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrDamaged, proposedFile, err)
	}
	if list.Version != 1 {
		return nil, fmt.Errorf("%w: %s has format version %d, this program knows 1", ErrDamaged, proposedFile, list.Version)
	}
	return slices.DeleteFunc(list.Roles, func(r ProposedRole) bool { return r.Version <= w.base.version(r.Role) }), nil
}

// ProposalStatus is a role that was proposed from here and that the base does not have yet.
type ProposalStatus struct {
	ProposedRole
	// Changed: what is staged is no more what was proposed.
	Changed bool
}

func (w *Workspace) proposalStatus() ([]ProposalStatus, error) {
	records, err := w.Proposed()
	if err != nil {
		return nil, err
	}
	var out []ProposalStatus
	for _, r := range records {
		if r.Sent {
			f := w.staged[r.Role]
			out = append(out, ProposalStatus{r, f == nil || f.sum != r.SHA256})
		}
	}
	return out, nil
}

// proposedList is the content of proposed.json.
type proposedList struct {
	Version int            `json:"version"`
	Roles   []ProposedRole `json:"roles"`
}

// RecordProposal notes that a version of a role is sent under a manifest, before and once the registry has it. Noted
// before, it is known for its own also if this process is killed in between.
func (w *Workspace) RecordProposal(p *RoleProposal, tag, manifest string, sent bool, at time.Time) error {
	if err := w.writable(); err != nil {
		return err
	}
	roles, err := w.Proposed()
	if err != nil {
		return err
	}
	record := ProposedRole{Role: p.Role, Version: p.Version, Tag: tag, SHA256: checksum(p.Data), At: seconds(at), Sent: sent}
	if i := slices.IndexFunc(roles, func(r ProposedRole) bool { return r.Role == p.Role }); i >= 0 {
		if roles[i].Version == p.Version && roles[i].Tag == tag {
			record.Manifests = roles[i].Manifests
		}
		roles = slices.Delete(roles, i, i+1)
	}
	record.Manifests = append(slices.DeleteFunc(record.Manifests, func(m string) bool { return m == manifest }), manifest)
	record.Manifests = record.Manifests[max(0, len(record.Manifests)-maxManifests):]
	data, err := json.MarshalIndent(proposedList{Version: 1, Roles: append(roles, record)}, "", "  ")
	if err != nil {
		return err
	}
	return w.disk.Write(w.path(proposedFile), append(data, '\n'), 0o600)
}
