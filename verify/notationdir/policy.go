package notationdir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// The names of the policy: notation 1 reads the first, notation 2 the second, and
// the first only without it.
const (
	policyFile    = "trustpolicy.json"
	policyFileOCI = "trustpolicy.oci.json"
)

const (
	policyVersion = "1.0"
	wildcard      = "*"
	// nowhere is a registry that cannot exist (RFC 2606 section 2). Notation wants
	// a statement in every policy, and a statement wants a scope.
	nowhere = "tufoci.invalid/"
)

// statements are those of the trust's policy as Notation is to have them: under
// the names of stores on disk, for every name of each repository. Names that "*"
// stands for are at most so many bytes.
func (in Input) statements(names map[storeID]string, most int) (out []trustpolicy.TrustPolicy, warnings []string, err error) {
	exact, err := in.exactScopes()
	if err != nil {
		return nil, nil, err
	}
	for _, st := range in.Set.Policy.TrustPolicies {
		level, err := verify.PolicyLevel(st.SignatureVerification)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: statement %q: %v", ErrPolicy, st.Name, err)
		}
		if least := cmp.Or(in.MinLevel, trust.LevelStrict); !verify.LevelMeets(level, least) {
			warnings = append(warnings, fmt.Sprintf("statement %q is left out, so that nothing verifies under it: its level is %s, and the trust asks for %s", st.Name, level, least))
			continue
		}
		scopes, unsaid := in.scopes(st, exact, most)
		warnings = append(warnings, unsaid...)
		if len(scopes) == 0 {
			warnings = append(warnings, fmt.Sprintf("statement %q is left out: it is for no repository that the trust names", st.Name))
			continue
		}
		stores, absent := in.trustStores(st, names)
		for _, id := range absent {
			warnings = append(warnings, fmt.Sprintf("statement %q: store %s has no certificate, so that nothing verifies under the statement", st.Name, id))
		}
		if level != trust.LevelStrict {
			warnings = append(warnings, fmt.Sprintf("statement %q has level %s, which the trust accepts: notation lets pass what fails above it, without a word", st.Name, level))
		}
		st.Name = statementName(in.Trust, st.Name)
		st.RegistryScopes, st.TrustStores = scopes, stores
		out = append(out, st)
	}
	if len(out) == 0 {
		out = append(out, closedStatement(in.Trust, nil))
		warnings = append(warnings, "no statement is left: nothing verifies")
	}
	return out, warnings, nil
}

func statementName(trustName, statement string) string {
	return "tufoci/" + trustName + "/" + statement
}

// exactScopes are the repositories that statements name. One outside the scopes of
// the trust refuses the whole policy.
func (in Input) exactScopes() (map[string]bool, error) {
	exact := map[string]bool{}
	for _, st := range in.Set.Policy.TrustPolicies {
		for _, scope := range st.RegistryScopes {
			if scope == wildcard {
				continue
			}
			if !in.speaksFor(scope) {
				return nil, fmt.Errorf("%w: statement %q is for %s", verify.ErrPolicyScope, st.Name, scope)
			}
			exact[scope] = true
		}
	}
	return exact, nil
}

func (in Input) speaksFor(repository string) bool {
	return slices.ContainsFunc(in.Scopes, func(s trust.Scope) bool { return s.Match(repository) })
}

// maxScopes bounds the names of repositories that "*" stands for, in bytes with their
// quotes and indentation: some 100,000 names. Who may sign entries for images decides
// how many there are, and must not keep a sync from what it withdraws.
const (
	maxScopes     = 8 << 20
	scopeOverhead = 16
)

// scopes are the names of the repositories of a statement. "*" stands for those
// that the trust's image targets name and no other statement does, and for at most so
// many bytes of them.
func (in Input) scopes(st trustpolicy.TrustPolicy, exact map[string]bool, most int) (scopes, warnings []string) {
	repositories, left := st.RegistryScopes, math.MaxInt
	if slices.Contains(repositories, wildcard) {
		repositories, left = slices.DeleteFunc(slices.Sorted(slices.Values(in.Repositories)), func(r string) bool { return exact[r] || !in.speaksFor(r) }), most
	}
	for n, repository := range repositories {
		for _, name := range trust.Known(repository, in.Maps) {
			if left -= len(name) + scopeOverhead; left < 0 {
				warnings = append(warnings, fmt.Sprintf("%s are left out of %q, from %s on: they are too many for a policy", countOf(len(repositories)-n, "name"), wildcard, repository))
				return slices.Compact(slices.Sorted(slices.Values(scopes))), warnings
			}
			switch {
			case !expressible(name):
				warnings = append(warnings, fmt.Sprintf("%s: notation can have no policy for this name", name))
				continue
			case in.Decides != nil && !in.Decides(name):
				warnings = append(warnings, fmt.Sprintf("%s is left out: a trust with a more particular scope decides about it", name))
				continue
			}
			scopes = append(scopes, name)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), warnings
}

// expressible reports whether Notation takes a name as a scope; it has a narrower
// form for hosts than registries do.
func expressible(scope string) bool {
	doc := &trustpolicy.Document{Version: policyVersion, TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "form", RegistryScopes: []string{scope},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelSkip.Name},
	}}}
	return scope != wildcard && doc.Validate() == nil
}

// trustStores are the stores of a statement under their names on disk. One without
// a certificate is left out if another can vouch in its place. A TSA store is not:
// without it, signatures would need no timestamp.
func (in Input) trustStores(st trustpolicy.TrustPolicy, names map[storeID]string) (stores []string, absent []storeID) {
	var empty []storeID
	vouches := false
	for _, s := range st.TrustStores {
		kind, name, _ := strings.Cut(s, ":")
		id := storeID{material.StoreType(kind), name}
		if names[id] == "" {
			empty = append(empty, id)
			continue
		}
		vouches = vouches || id.kind != material.StoreTSA
		stores = append(stores, kind+":"+names[id])
	}
	for _, id := range empty {
		if vouches && id.kind != material.StoreTSA {
			continue
		}
		absent = append(absent, id)
		stores = append(stores, string(id.kind)+":"+absentStore(in.Trust, id.name))
	}
	return stores, absent
}

// closedStatement is one under which nothing verifies, as it names stores that do
// not exist. Without scopes it is for no repository at all, as there has to be one.
func closedStatement(trustName string, scopes []string) trustpolicy.TrustPolicy {
	if len(scopes) == 0 {
		scopes = []string{nowhere + sum([]byte(trustName))[:generationDigits]}
	}
	closed := trustpolicy.TrustPolicy{
		Name:                  statementName(trustName, "closed"),
		RegistryScopes:        scopes,
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name},
		TrustedIdentities:     []string{wildcard},
	}
	for _, kind := range material.StoreTypes {
		closed.TrustStores = append(closed.TrustStores, string(kind)+":"+absentStore(trustName, "closed"))
	}
	return closed
}

// document joins the statements of all trusts. Notation takes one statement for a
// repository: ErrScopeClash.
func document(trusts map[string]*record) (*trustpolicy.Document, error) {
	doc := &trustpolicy.Document{Version: policyVersion}
	owner := map[string]string{}
	for _, name := range sortedKeys(trusts) {
		for _, st := range trusts[name].Statements {
			for _, scope := range st.RegistryScopes {
				if other, taken := owner[scope]; taken && other != name {
					return nil, &ScopeClashError{Repository: scope, Trust: name, Other: other}
				}
				owner[scope] = name
			}
			doc.TrustPolicies = append(doc.TrustPolicies, st)
		}
	}
	if err := doc.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return doc, nil
}

func marshalPolicy(doc *trustpolicy.Document) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
