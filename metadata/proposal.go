package metadata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Proposal is the next version of one role, signed by the holders of its keys, for whoever holds the online keys to
// fold in.
type Proposal struct {
	Role  string
	Data  []byte // its file
	Files []File // target files that it lists and the head does not have, with their bytes
}

// JudgeProposals says of each proposal why it cannot follow the head, nil where it can, together with the others that
// can. At most one of each role. The rules are those of clients and of lint: a role that the walk reaches, the version
// after that of the head, the signatures of every delegator's threshold, not expired, nothing listed that is not
// delegated, and whatever it delegates to there and signed as it says. Whether target files are there is not looked at.
//
// Reasons: *NeedSignaturesError, *LintError, ErrNoRole, ErrNotDelegated, ErrProposal.
func JudgeProposals(head *Head, proposals []Proposal, now time.Time) ([]error, error) {
	h, err := newHeadState(head, nil)
	if err != nil {
		return nil, err
	}
	return newJudgement(h, newParsedFiles(), now, anonymous).all(proposals), nil
}

// judgement holds proposals to the head.
type judgement struct {
	head   *headState
	parsed parsedFiles
	now    time.Time
	info   func(id string, key *tuf.Key, signed bool) KeyInfo

	next map[string]*roleFile // the head with what was accepted
	view *view                // of next
}

func newJudgement(h *headState, parsed parsedFiles, now time.Time, info func(string, *tuf.Key, bool) KeyInfo) *judgement {
	j := &judgement{head: h, parsed: parsed, now: now, info: info}
	j.restart()
	return j
}

// restart forgets what was accepted.
func (j *judgement) restart() {
	j.next = maps.Clone(j.head.roles)
	j.next[tuf.ROOT] = j.head.role(tuf.ROOT)
	j.view = j.parsed.viewOf(func(role string) *roleFile { return j.next[role] })
}

// all judges proposals that may lean on one another. One that delegates to what is not there goes, and with it what
// leans on it, until the rest stands.
func (j *judgement) all(proposals []Proposal) []error {
	errs := make([]error, len(proposals))
	hollow := map[string]error{}
	for {
		j.restart()
		j.each(proposals, errs, hollow)
		found := false
		for i, p := range proposals {
			if errs[i] != nil {
				continue
			}
			if err := j.hollow(p.Role); err != nil {
				hollow[p.Role], found = err, true
			}
		}
		if !found {
			return errs
		}
	}
}

// each judges every proposal once, delegators before those that they delegate to.
func (j *judgement) each(proposals []Proposal, errs []error, hollow map[string]error) {
	waiting := map[string]int{}
	for i, p := range proposals {
		waiting[p.Role] = i
		errs[i] = fmt.Errorf("%w: another proposal of role %q is judged already", ErrProposal, p.Role)
	}
	for len(waiting) > 0 {
		role := j.first(waiting)
		i := waiting[role]
		delete(waiting, role)
		if errs[i] = hollow[role]; errs[i] != nil {
			continue
		}
		var f *roleFile
		if f, errs[i] = j.one(proposals[i]); errs[i] == nil {
			j.accept(f)
		}
	}
}

func (j *judgement) accept(f *roleFile) {
	j.next[f.role], j.view.walked = f, nil
}

// first is the proposal to be judged next: one that no other waiting one delegates to. In a circle it is the first by
// name.
func (j *judgement) first(waiting map[string]int) string {
	roles := slices.Sorted(maps.Keys(waiting))
	for _, reached := range []bool{true, false} { // what no role delegates to yet may come to be
		for _, role := range roles {
			edges, err := j.view.delegators(role)
			free := !slices.ContainsFunc(edges, func(d delegation) bool { _, waits := waiting[d.parent]; return waits && d.parent != role })
			if err == nil && free && (!reached || role == tuf.TARGETS || len(edges) > 0) {
				return role
			}
		}
	}
	return roles[0]
}

// one judges a proposal by itself.
func (j *judgement) one(p Proposal) (*roleFile, error) {
	if err := checkProposable(p.Role); err != nil {
		return nil, err
	}
	f, err := newRoleFile(p.Role, p.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrProposal, err)
	}
	if have := j.head.version(p.Role); f.version != have+1 {
		return nil, fmt.Errorf("%w: v%d does not follow v%d of the head", ErrProposal, f.version, have)
	}
	if !f.expires.After(j.now) {
		return nil, fmt.Errorf("%w: it expired at %s", ErrProposal, f.expires.Format(time.RFC3339))
	}
	switch _, isBin, err := j.view.binParent(p.Role); {
	case err != nil:
		return nil, err
	case isBin:
		return nil, fmt.Errorf("%w: %q is a hash bin, which is signed online", ErrProposal, p.Role)
	}
	if err := j.signed(f); err != nil {
		return nil, err
	}
	if errs := LintErrors(Lint(LintInput{Roles: map[string][]byte{p.Role: p.Data}})); len(errs) > 0 {
		return nil, &LintError{Findings: errs}
	}
	return f, j.within(f)
}

// checkProposable refuses the roles that nobody can propose. Snapshot and timestamp follow from all others. A root says
// which keys may fold in: who makes one has to see it published.
func checkProposable(role string) error {
	switch role {
	case tuf.SNAPSHOT, tuf.TIMESTAMP:
		return fmt.Errorf("%w: %s is signed by whoever publishes", ErrProposal, role)
	case tuf.ROOT:
		return fmt.Errorf("%w: a root decides who publishes: it is published by people, and not folded in", ErrProposal)
	}
	return nil
}

// signed holds a file to the threshold of every delegator.
func (j *judgement) signed(f *roleFile) error {
	rules, err := j.view.rules(f.role)
	if err != nil {
		return err
	}
	met, err := f.meets(rules)
	if err != nil || met {
		return err
	}
	count, err := countSignatures(f, rules, j.info)
	if err != nil {
		return err
	}
	return &NeedSignaturesError{Roles: []RoleSignatures{count}}
}

// within refuses what no delegation to the role covers: clients would never look for it there.
func (j *judgement) within(f *roleFile) error {
	if f.role == tuf.TARGETS {
		return nil
	}
	md, err := j.parsed.targetsOf(f)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProposal, err)
	}
	edges, err := j.view.edges()
	if err != nil {
		return err
	}
	to := map[string][]delegation{}
	for _, d := range edges {
		if d.role != nil {
			to[d.role.Name] = append(to[d.role.Name], d)
		}
	}
	// A role that was looked at leads nowhere new: without that, the paths through roles
	// that delegate to one another are more than can ever be gone through.
	var leads func(role, path string, seen map[string]bool) bool
	leads = func(role, path string, seen map[string]bool) bool {
		if role == tuf.TARGETS {
			return true
		}
		seen[role] = true
		return slices.ContainsFunc(to[role], func(d delegation) bool {
			_, ok := d.matches(path)
			return ok && !seen[d.parent] && leads(d.parent, path, seen)
		})
	}
	for _, path := range slices.Sorted(maps.Keys(md.Signed.Targets)) {
		if !leads(f.role, path, map[string]bool{}) {
			visits, err := j.view.visits(path)
			return errors.Join(err, &notDelegatedError{path: path, role: f.role, may: visits})
		}
	}
	return nil
}

// hollow says what a role delegates to that is not there, or not signed as it says: a client that walks there would
// end, for every name that it covers. What is as in the head was judged with that.
func (j *judgement) hollow(role string) error {
	md, err := j.view.targets(role)
	if err != nil {
		return err
	}
	edges, err := j.view.delegations(role)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProposal, err)
	}
	before, err := j.rulesBefore(role)
	if err != nil {
		return err
	}
	for _, d := range edges {
		wants := delegationRule(role, md, d)
		for _, name := range d.names() {
			f := j.next[name]
			if old, ok := before[name]; ok && old.equal(wants) && f == j.head.role(name) {
				continue
			}
			if f == nil {
				return fmt.Errorf("%w: it delegates to %q, which nobody has made yet", ErrProposal, name)
			}
			switch met, err := f.meets([]rule{wants}); {
			case err != nil:
				return err
			case !met:
				return fmt.Errorf("%w: %s v%d is not signed as it says", ErrProposal, name, f.version)
			}
		}
	}
	return nil
}

// rulesBefore are the rules under which a role of the head delegates, by name.
func (j *judgement) rulesBefore(role string) (map[string]rule, error) {
	v := j.parsed.viewOf(j.head.role)
	md, err := v.targets(role)
	if err != nil || md == nil {
		return nil, err
	}
	edges, err := v.delegations(role)
	if err != nil {
		return nil, err
	}
	rules := map[string]rule{}
	for _, d := range edges {
		by := delegationRule(role, md, d)
		for _, name := range d.names() {
			rules[name] = by
		}
	}
	return rules, nil
}

// names are the roles of a delegation: one, or all hash bins.
func (d delegation) names() []string {
	if d.succinct != nil {
		return d.succinct.GetRoles()
	}
	return []string{d.role.Name}
}

// ListedFiles are the target files that a role lists, by title and without bytes. Images are none.
func ListedFiles(role string, data []byte) ([]File, error) {
	f, err := newRoleFile(role, data)
	if err != nil {
		return nil, err
	}
	entries, err := fileEntries(f)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, n := range entries {
		sum := n.Hashes["sha256"]
		if !isSHA256(sum) {
			return nil, fmt.Errorf("%w: target %q has no sha256", ErrDamaged, n.Path)
		}
		files = append(files, File{Name: TargetTitle(n.Path, sum), SHA256: sum, Length: n.Length})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// takeProposals puts proposals over the head. They are judged once more: no caller can pass by that.
func (r *refresh) takeProposals(context.Context) error {
	errs := newJudgement(r.head, r.parsed, r.now, anonymous).all(r.o.Proposals)
	for i, p := range r.o.Proposals {
		if errs[i] != nil {
			return fmt.Errorf("proposal of role %q: %w", p.Role, errs[i])
		}
		f, err := newRoleFile(p.Role, p.Data)
		if err != nil {
			return err
		}
		r.put(f, whyProposed)
		for _, file := range p.Files {
			r.head.targets[file.Name] = file
		}
	}
	return nil
}

// NextVersions are the versions that can be proposed, by role: of targets, and of every role that it leads to but for
// hash bins.
func NextVersions(head *Head) (map[string]int64, error) {
	h, err := newHeadState(head, nil)
	if err != nil {
		return nil, err
	}
	edges, err := newJudgement(h, newParsedFiles(), time.Time{}, anonymous).view.edges()
	if err != nil {
		return nil, err
	}
	next := map[string]int64{tuf.TARGETS: h.version(tuf.TARGETS) + 1}
	for _, d := range edges {
		if d.role != nil {
			next[d.role.Name] = h.version(d.role.Name) + 1
		}
	}
	return next, nil
}
