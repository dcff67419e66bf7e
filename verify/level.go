package verify

import (
	"slices"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/trust"
)

// Names of policy levels (Notary Project trust store and trust policy
// specification, "Signature Verification details"), the strongest first.
const (
	levelStrict     = trust.LevelStrict
	levelPermissive = "permissive"
	levelAudit      = "audit"
	levelSkip       = "skip"
)

// levels that can be asked for, the strongest first.
var levels = []*trustpolicy.VerificationLevel{trustpolicy.LevelStrict, trustpolicy.LevelPermissive, trustpolicy.LevelAudit}

// PolicyLevel is the strongest named level of which a statement enforces everything:
// a strict one whose override only logs revocation is no more than permissive. skip, which
// takes no override, enforces less than any.
func PolicyLevel(s trustpolicy.SignatureVerification) (string, error) {
	actual, err := s.GetVerificationLevel()
	if err != nil {
		return "", err
	}
	for _, level := range levels {
		if meets(actual, level) {
			return level.Name, nil
		}
	}
	return levelSkip, nil
}

// meets reports whether actual enforces all that level enforces.
func meets(actual, level *trustpolicy.VerificationLevel) bool {
	for check, action := range level.Enforcement {
		if action == trustpolicy.ActionEnforce && actual.Enforcement[check] != trustpolicy.ActionEnforce {
			return false
		}
	}
	return true
}

// LevelMeets reports whether a policy level is enough for a trust that asks for
// least. skip never is: nothing is verified then.
func LevelMeets(level, least string) bool { return level != levelSkip && !weaker(level, least) }

// weaker reports whether a level is weaker than another. A name that is not known
// is the weakest.
func weaker(level, than string) bool { return strength(level) < strength(than) }

func strength(level string) int {
	weakestFirst := []string{levelSkip, levelAudit, levelPermissive, levelStrict}
	return max(0, slices.Index(weakestFirst, level))
}
