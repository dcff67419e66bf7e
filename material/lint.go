package material

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

// Finding is what Lint says.
type Finding struct {
	Warning bool   // does not stop a publish
	Rule    string // short name
	Name    string // of the target
	Message string
}

// LintOptions of [Lint].
type LintOptions struct {
	// Previous is what is published now; nil for nothing.
	Previous []File
	// TimestampExpires is the expiry of the timestamp that delivers the files.
	TimestampExpires, Now time.Time // zero: not checked
}

// Lint finds what clients would refuse or what weakens trust, each file for
// itself and then all together: a policy that names a store that no target
// provides; a store that no policy names (warning); a CRL whose issuer neither is
// in a store nor chains to one, whose number goes back, or that ends before the
// timestamp that delivers it (warning); a revoked list that lost entries
// (warning); a revocation list that cannot be read; levels below strict
// (warning). Errors come first.
func Lint(files []File, o LintOptions) []Finding {
	set, problems := read(files)
	// What is published and cannot be read is no yardstick.
	before, _ := read(o.Previous)
	l := &linter{set: set, o: o, there: map[string]bool{}}
	for _, f := range files {
		l.there[f.Name] = true
	}
	for _, p := range problems {
		l.error(p.rule, p.name, "%v", p.err)
	}
	l.names()
	l.certificates()
	l.policy()
	l.crls(before)
	l.revocations(before)
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		switch {
		case a.Warning == b.Warning:
			return 0
		case b.Warning:
			return -1
		}
		return 1
	})
	return l.findings
}

type linter struct {
	set      *Set
	o        LintOptions
	there    map[string]bool // names of files
	findings []Finding
}

func (l *linter) error(rule, name, format string, args ...any) {
	l.findings = append(l.findings, Finding{Rule: rule, Name: name, Message: fmt.Sprintf(format, args...)})
}

func (l *linter) warn(rule, name, format string, args ...any) {
	l.findings = append(l.findings, Finding{Warning: true, Rule: rule, Name: name, Message: fmt.Sprintf(format, args...)})
}

// names finds files that no client reads.
func (l *linter) names() {
	for _, target := range slices.Sorted(maps.Keys(l.there)) {
		name, isIssuer, ok := ParseCRLName(target)
		switch {
		case ok && isIssuer && !l.there[crlTree+name+crlEnd]:
			l.warn("name", target, "the issuer of a CRL that is not there")
		case strings.HasPrefix(target, notationTree) && target != PolicyName && !strings.HasPrefix(target, x509Tree) && !strings.HasPrefix(target, crlTree):
			l.warn("name", target, "no client reads this name")
		}
	}
}

func (l *linter) certificates() {
	if l.o.Now.IsZero() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(l.set.Files)) {
		for _, c := range l.set.Files[name] {
			if l.o.Now.After(c.NotAfter) {
				l.warn("certificate", name, "%q expired %s", c.Subject, c.NotAfter.UTC().Format(timeForm))
			}
		}
	}
}

// policy holds the policy and the stores against each other, and says where it
// asks for less than it could.
func (l *linter) policy() {
	named := map[string]bool{}
	if l.set.Policy != nil {
		for _, p := range l.set.Policy.TrustPolicies {
			l.statement(p)
			for _, s := range p.TrustStores {
				named[s] = true
			}
		}
	}
	for _, t := range StoreTypes {
		for _, store := range slices.Sorted(maps.Keys(l.set.Stores[t])) {
			if key := string(t) + ":" + store; !named[key] {
				l.warn("store", x509Tree+string(t)+"/"+store, "no policy names the store %s: nothing is verified with it", key)
			}
		}
	}
}

func (l *linter) statement(p trustpolicy.TrustPolicy) {
	for _, s := range p.TrustStores {
		t, store, _ := strings.Cut(s, ":")
		if len(l.set.Stores[StoreType(t)][store]) == 0 {
			l.error("policy-store", PolicyName, "statement %q names the store %s, which no target provides", p.Name, s)
		}
	}
	for _, id := range p.TrustedIdentities {
		if id != "*" && !strings.HasPrefix(id, "x509.subject:") {
			l.warn("policy-identity", PolicyName, "statement %q: nothing matches the identity %q", p.Name, id)
		}
	}
	level, err := p.SignatureVerification.GetVerificationLevel()
	if err != nil || level.Name == trustpolicy.LevelStrict.Name {
		return
	}
	var weak []string
	for _, t := range trustpolicy.ValidationTypes {
		if action := level.Enforcement[t]; action != trustpolicy.ActionEnforce {
			weak = append(weak, fmt.Sprintf("%s: %s", t, action))
		}
	}
	if len(weak) > 0 {
		l.warn("policy-level", PolicyName, "statement %q is below strict: %s", p.Name, strings.Join(weak, ", "))
	}
}

func (l *linter) crls(before *Set) {
	for _, c := range l.set.CRLs {
		name := crlTree + c.Name + crlEnd
		if err := l.set.CheckIssuer(c); err != nil {
			l.error("crl-issuer", name, "%v", err)
		}
		l.dates(name, c)
		if c.Number() == nil {
			l.warn("crl-number", name, "it has no number: that it is not an old one is seen by its date alone")
		}
	}
	for _, old := range before.CRLs {
		name := crlTree + old.Name + crlEnd
		i := slices.IndexFunc(l.set.CRLs, func(c *CRL) bool { return c.Name == old.Name })
		if i < 0 {
			if !l.there[name] { // else it cannot be read, which has been said
				l.warn("crl-removed", name, "it is no more published: what it revokes is accepted where nothing else says so")
			}
			continue
		}
		switch err := old.CheckSuccessor(l.set.CRLs[i]); {
		case errors.Is(err, ErrOlder):
			l.error("crl-older", name, "%v", err)
		case err != nil:
			l.error("crl-other", name, "%v; give it a name of its own", err)
		}
	}
}

// dates warns of a CRL that is not current for as long as the timestamp that
// delivers it.
func (l *linter) dates(name string, c *CRL) {
	ends := c.List.NextUpdate.UTC().Format(timeForm)
	switch {
	case !l.o.Now.IsZero() && l.o.Now.Before(c.List.ThisUpdate):
		l.warn("crl-date", name, "it begins in the future, %s", c.List.ThisUpdate.UTC().Format(timeForm))
	case !l.o.Now.IsZero() && l.o.Now.After(c.List.NextUpdate):
		l.warn("crl-date", name, "its NextUpdate is past, %s: clients show it as stale, stock Notation does not take it", ends)
	case !l.o.TimestampExpires.IsZero() && c.List.NextUpdate.Before(l.o.TimestampExpires):
		l.warn("crl-date", name, "its NextUpdate %s is before the timestamp's expiry %s", ends, l.o.TimestampExpires.UTC().Format(timeForm))
	}
}

// maxLost is how many entries are named that a list lost.
const maxLost = 10

// revocations warns of entries that went, and of those that match nothing.
func (l *linter) revocations(before *Set) {
	lost := before.Revocations.Missing(l.set.Revocations)
	var entries []string
	for _, i := range lost.Images {
		entries = append(entries, fmt.Sprintf("image %s (%s)", i.Digest, i.Reason))
	}
	for _, c := range lost.Certificates {
		entries = append(entries, fmt.Sprintf("certificate %s (%s)", c.SHA256, c.Reason))
	}
	for i, entry := range entries {
		if i == maxLost {
			l.warn("revocation-lost", RevocationsName, "%d more are no more revoked", len(entries)-i)
			break
		}
		l.warn("revocation-lost", RevocationsName, "no more revoked: %s", entry)
	}
	for _, i := range l.set.Revocations.Images {
		if first, _, below := strings.Cut(i.Repository, "/"); below && (strings.Contains(first, ".") || first == "localhost") {
			l.warn("revocation-repository", RevocationsName, "repository %q of image %s seems to begin with a host: names are without", i.Repository, i.Digest)
		}
	}
}
