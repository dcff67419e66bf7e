package verify

import (
	"context"
	"slices"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/material"
)

// anyRepository is the scope of a statement for all that no other one is for. Of a
// trust it means the repositories that its image targets name.
const anyRepository = "*"

// statement picks the statement of the policy for the image. ErrNoPolicy,
// ErrNoStatement; ErrLevel for one that is weaker than the trust asks for.
func (q *inquiry) statement(ctx context.Context, m *Material) (*trustpolicy.TrustPolicy, error) {
	policy := m.Policy()
	if policy == nil {
		return nil, &Refusal{Kind: ErrNoPolicy, Name: material.PolicyName}
	}
	found := statementFor(policy, q.applies.Canonical)
	if found == nil {
		found = statementFor(policy, anyRepository)
		named, err := q.named(ctx, found)
		if err != nil {
			return nil, err
		}
		if !named {
			found = nil
		}
	}
	if found == nil {
		return nil, &Refusal{Kind: ErrNoStatement, Name: material.PolicyName, Detail: "nothing for " + q.applies.Canonical}
	}
	return found, q.checkLevel(found)
}

// named reports whether a statement for any repository counts for this one.
func (q *inquiry) named(ctx context.Context, any *trustpolicy.TrustPolicy) (bool, error) {
	if any == nil {
		return false, nil
	}
	if len(q.verdict.Mappings) > 0 {
		return true, nil
	}
	return q.sight.names(ctx, q.repository())
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
