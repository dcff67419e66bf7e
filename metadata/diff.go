package metadata

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/period"
)

// RoleDiff is what a staged role changes in words that a signer can judge.
type RoleDiff struct {
	Role                       string
	BaseVersion, StagedVersion int64
	Changes                    []Change
}

// Change is one difference. Kind says of what:
//
//	expires     the expiry of the role itself
//	threshold   Subject is the role that needs that many signatures
//	key         Subject is a role, Old or New the key that it loses or gets
//	delegation  Subject is a role, Old and New its paths
//	order       Subject is the delegating role, Old and New the names in order of priority
//	bins        Subject is the delegating role, Old and New number and prefix
//	target      Subject is a path, Old and New "sha256:HEX LENGTH"
//	period      life of a version of the role, and renewWithin how much of it is left when it is renewed
//	member      any other member of the file
type Change struct {
	Kind     string
	Subject  string
	Old, New string // "" when it is new or gone
}

// String is the change in one line. What it quotes is the publisher's.
func (c Change) String() string {
	what := c.Kind
	if c.Subject != "" {
		what += " " + c.Subject
	}
	switch {
	case c.Old == "" && c.New == "":
		return what
	case c.Old == "":
		return fmt.Sprintf("+ %s: %s", what, c.New)
	case c.New == "":
		return fmt.Sprintf("- %s: %s", what, c.Old)
	default:
		return fmt.Sprintf("~ %s: %s -> %s", what, c.Old, c.New)
	}
}

// Diff compares staged roles with the base; without names all staged ones. ErrInvalid for a role with nothing staged.
func (w *Workspace) Diff(roles ...string) ([]RoleDiff, error) {
	names, err := w.stagedNames()
	if err != nil {
		return nil, err
	}
	if len(roles) > 0 {
		if names, err = w.stagedRoles(roles); err != nil {
			return nil, err
		}
	}
	out := make([]RoleDiff, 0, len(names))
	for _, role := range names {
		d := RoleDiff{Role: role, BaseVersion: w.base.version(role), StagedVersion: w.staged[role].version}
		if d.Changes, err = keyNames(w.keyName).changes(w.base.role(role), w.staged[role]); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Contents returns the bytes of a target that changed, as published and as staged: nil where there are none, or where the
// workspace does not have them.
func (w *Workspace) Contents(c Change) (old, next []byte, err error) {
	return contentsOf(c, w.blob)
}

// contentsOf reads the two files that a change of a target speaks of.
func contentsOf(c Change, blob func(entry) ([]byte, error)) (old, next []byte, err error) {
	if c.Kind != "target" {
		return nil, nil, nil
	}
	read := func(value string) []byte {
		var sum string
		var length int64
		if _, scan := fmt.Sscanf(value, "sha256:%s %d", &sum, &length); scan != nil || err != nil {
			return nil
		}
		var data []byte
		data, err = blob(entry{Path: c.Subject, Length: length, Hashes: map[string]string{"sha256": sum}})
		return data
	}
	return read(c.Old), read(c.New), err
}

// facts are what a role says, each under its kind and subject.
type facts map[[2]string]string

func (f facts) set(kind, subject, value string) { f[[2]string{kind, subject}] = value }

// keyNames finds the name that a key has for people, "" if it has none.
type keyNames func(key *tuf.Key) string

// changes compares two versions of a role, either of which can be nil.
func (n keyNames) changes(before, after *roleFile) ([]Change, error) {
	next, err := n.facts(after)
	if err != nil {
		return nil, err
	}
	old, err := n.facts(before)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(old)
	maps.Copy(all, next)
	var out []Change
	for key := range all {
		if old[key] != next[key] {
			kind, _, _ := strings.Cut(key[0], " ") // "key ID" is one fact for each key
			out = append(out, Change{Kind: kind, Subject: key[1], Old: old[key], New: next[key]})
		}
	}
	order := []string{"threshold", "key", "delegation", "bins", "order", "target", "member", "period", "renewWithin", "expires"}
	slices.SortFunc(out, func(a, b Change) int {
		if c := slices.Index(order, a.Kind) - slices.Index(order, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.Subject+"\x00"+a.Old+a.New, b.Subject+"\x00"+b.Old+b.New)
	})
	return out, nil
}

// withoutExpiry leaves out what every new version changes.
func withoutExpiry(changes []Change) []Change {
	return slices.DeleteFunc(changes, func(c Change) bool { return c.Kind == "expires" })
}

// facts takes a file apart; none for no file.
func (n keyNames) facts(f *roleFile) (facts, error) {
	out := facts{}
	if f == nil {
		return out, nil
	}
	out.set("expires", f.role, seconds(f.expires).Format(time.RFC3339))
	if f.role == tuf.ROOT {
		md, err := parseFile[tuf.RootType](f)
		if err != nil {
			return nil, err
		}
		for name, r := range md.Signed.Roles {
			if r == nil {
				continue
			}
			memberFacts(out, name, within(name, r.UnrecognizedFields))
			n.keyFacts(out, name, newRule("", md.Signed.Keys, r.KeyIDs, r.Threshold))
		}
		if !md.Signed.ConsistentSnapshot {
			out.set("member", "consistent_snapshot", "false")
		}
		memberFacts(out, f.role, md.Signed.UnrecognizedFields)
		return out, nil
	}
	md, err := parseFile[tuf.TargetsType](f)
	if err != nil {
		return nil, err
	}
	for path, t := range md.Signed.Targets {
		target := newTarget(f.role, path, t)
		value := []string{fmt.Sprintf("sha256:%s %d", target.SHA256, target.Length)}
		if len(target.Custom) > 0 {
			value = append(value, string(target.Custom))
		}
		for _, algorithm := range slices.Sorted(maps.Keys(t.Hashes)) {
			if algorithm != "sha256" {
				value = append(value, fmt.Sprintf("%s:%s", algorithm, t.Hashes[algorithm]))
			}
		}
		out.set("target", path, strings.Join(value, " ")+others(t.UnrecognizedFields))
	}
	if d := md.Signed.Delegations; d != nil {
		n.delegationFacts(out, f.role, d)
	}
	memberFacts(out, f.role, md.Signed.UnrecognizedFields)
	return out, nil
}

// delegationFacts shows hash bins and roles, of which a role has either; clients that meet both follow the roles.
func (n keyNames) delegationFacts(out facts, role string, d *tuf.Delegations) {
	memberFacts(out, role, within("delegations", d.UnrecognizedFields))
	if s := d.SuccinctRoles; s != nil {
		_, bins := s.GetSuffixLen()
		out.set("bins", role, fmt.Sprintf("%d %s-", bins, s.NamePrefix)+others(s.UnrecognizedFields))
		n.keyFacts(out, binsRole, newRule("", d.Keys, s.KeyIDs, s.Threshold))
		if d.Roles == nil {
			return
		}
	}
	var names []string
	for _, r := range d.Roles {
		names = append(names, r.Name)
		paths := make([]string, 0, len(r.Paths)+len(r.PathHashPrefixes))
		for _, p := range r.Paths {
			if strings.ContainsAny(p, " \"") {
				p = strconv.Quote(p) // it would read as two, or as something else
			}
			paths = append(paths, p)
		}
		for _, p := range r.PathHashPrefixes {
			paths = append(paths, "hash:"+p)
		}
		value := strings.Join(paths, " ")
		if r.Terminating {
			value += " (terminating)"
		}
		out.set("delegation", r.Name, value+others(r.UnrecognizedFields))
		n.keyFacts(out, r.Name, newRule("", d.Keys, r.KeyIDs, r.Threshold))
	}
	out.set("order", role, strings.Join(names, " "))
}

// keyFacts shows each key by its id. Where a file gives a key another id than it has, that says nothing of the key, and
// its own is shown too.
func (n keyNames) keyFacts(out facts, role string, r rule) {
	out.set("threshold", role, strconv.Itoa(r.threshold))
	for _, id := range r.ids {
		text := id
		if name := n(r.keys[id]); name != "" {
			text = name + " " + id
		}
		if own, err := freshID(r.keys[id]); err != nil || own != id {
			text += " (key " + own + ")"
		}
		out.set("key "+id, role, text)
	}
}

func memberFacts(out facts, role string, members map[string]any) {
	for name, value := range members {
		secs, isNumber := value.(float64)
		switch text, err := json.Marshal(value); {
		case err != nil:
			out.set("member", name, fmt.Sprint(value))
		case name == fieldPeriod && isNumber:
			out.set("period", role, period.Format(time.Duration(secs)*time.Second))
		case name == fieldRenew && isNumber:
			out.set("renewWithin", role, period.Format(time.Duration(secs)*time.Second))
		default:
			out.set("member", name, string(text))
		}
	}
}

// within names members by what they are members of.
func within(of string, members map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range members {
		out[of+"/"+name] = value
	}
	return out
}

// others are members that stand in an entry and mean nothing to tufoci, as text behind it.
func others(members map[string]any) string {
	if len(members) == 0 {
		return ""
	}
	text, err := json.Marshal(members)
	if err != nil {
		return fmt.Sprintf(" %v", members)
	}
	return " " + string(text)
}
