package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

// anyRepository is the scope of a statement for all that no other one is for. Of a
// trust it means the repositories that its image targets name.
const anyRepository = "*"

// statement picks the statement of the policy for the image. ErrNoPolicy,
// ErrNoStatement; ErrLevel for one that is weaker than the trust asks for.
func (q *inquiry) statement(ctx context.Context, m *Material) (*trustpolicy.TrustPolicy, error) {
	found, err := m.statement(ctx, q.applies.Canonical, len(q.verdict.Mappings) > 0)
	if err != nil {
		return nil, err
	}
	return found, q.checkLevel(found)
}

// statement picks the statement for a canonical repository. One for any repository
// counts for those that image targets name; named says that it is known to be one.
func (m *Material) statement(ctx context.Context, canonical string, named bool) (*trustpolicy.TrustPolicy, error) {
	if m.set.Policy == nil {
		return nil, &Refusal{Kind: ErrNoPolicy, Name: material.PolicyName}
	}
	if found := statementFor(m.set.Policy, canonical); found != nil {
		return found, nil
	}
	if found := statementFor(m.set.Policy, anyRepository); found != nil {
		if named {
			return found, nil
		}
		switch named, err := m.names(ctx, inHost(canonical)); {
		case err != nil:
			return nil, err
		case named:
			return found, nil
		}
	}
	return nil, &Refusal{Kind: ErrNoStatement, Name: material.PolicyName, Detail: "nothing for " + canonical}
}

// names reports whether an image target of the trust names a repository, given
// without its host. A role that cannot be read is an error only if no other one
// does.
func (m *Material) names(ctx context.Context, repository string) (bool, error) {
	all, err := m.repositories.get(ctx, func(ctx context.Context) (map[string]bool, error) {
		targets, err := m.view.List(ctx)
		all := map[string]bool{}
		for _, t := range targets {
			if repository, _, _, ok := trust.ParseImageName(t.Path); ok {
				all[repository] = true
			}
		}
		return all, err
	})
	if all[repository] {
		return true, nil
	}
	return false, err
}

// PolicyFor is the policy for one canonical repository, HOST/REPOSITORY, as
// notation-go takes it: the statement that speaks for it, with that repository as
// its only scope, so that it speaks for no other. Its level is the publisher's, also
// skip: see [PolicyLevel] and [LevelMeets]. Errors: trust.ErrNoScope for a repository
// outside the scopes of the trust, ErrNoPolicy, ErrNoStatement.
func (m *Material) PolicyFor(ctx context.Context, repository string) (*trustpolicy.Document, error) {
	if !within(repository, m.scopes) {
		return nil, fmt.Errorf("%w: %s is outside the scopes of the trust", trust.ErrNoScope, repository)
	}
	found, err := m.statement(ctx, repository, false)
	if err != nil {
		return nil, err
	}
	return m.only(found, repository), nil
}

// only is the policy of one statement for one scope.
func (m *Material) only(statement *trustpolicy.TrustPolicy, scope string) *trustpolicy.Document {
	one := *statement
	one.RegistryScopes = []string{scope}
	return &trustpolicy.Document{Version: m.set.Policy.Version, TrustPolicies: []trustpolicy.TrustPolicy{one}}
}

// statementFor is the statement with a scope, of which Notation allows one.
func statementFor(policy *trustpolicy.Document, scope string) *trustpolicy.TrustPolicy {
	for i := range policy.TrustPolicies {
		if slices.Contains(policy.TrustPolicies[i].RegistryScopes, scope) {
			return &policy.TrustPolicies[i]
		}
	}
	return nil
}

// checkLevel notes statement and level, and refuses what is below the least level
// of the trust, skip always.
func (q *inquiry) checkLevel(s *trustpolicy.TrustPolicy) error {
	level, err := PolicyLevel(s.SignatureVerification)
	if err != nil {
		return &Refusal{Kind: ErrMaterial, Name: material.PolicyName, Err: err}
	}
	q.verdict.Statement, q.verdict.Level = s.Name, level
	least := q.applies.Entry.Level()
	if !LevelMeets(level, least) {
		return &Refusal{Kind: ErrLevel, Name: material.PolicyName, Detail: "statement " + s.Name + " has the level " + level + ", the trust asks for " + least}
	}
	if level != levelStrict {
		q.verdict.Warnings = append(q.verdict.Warnings, "the policy's level is "+level+": not all checks were enforced")
	}
	return nil
}
