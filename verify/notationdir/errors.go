package notationdir

import (
	"errors"
	"fmt"
)

// Why a sync was refused, for errors.Is; nothing was written then. The comment
// names the exit code of the command line. Besides these: trust.ErrNoScope (23),
// trust.ErrRollback (21), verify.ErrNoPolicy and verify.ErrPolicyScope (33).
var (
	// ErrForeign: a policy or store is in the way that tufoci has not written, or
	// that was changed since (33).
	ErrForeign = errors.New("not written by tufoci, or changed since")
	// ErrOtherTrust: the policy was written for another trust (33).
	ErrOtherTrust = errors.New("the policy was written for another trust")
	// ErrScopeClash: two trusts have a statement for one repository, and Notation
	// takes one (33). It arrives as a [ScopeClashError].
	ErrScopeClash = errors.New("two trusts speak for one repository")
	// ErrPolicy: Notation does not take the policy (33).
	ErrPolicy = errors.New("policy that Notation would refuse")
	// ErrState: the state of earlier syncs is damaged, or of a later version of
	// tufoci (25).
	ErrState = errors.New("the record of earlier syncs cannot be read")
	// ErrLocked: another sync works in the directory (41).
	ErrLocked = errors.New("another sync works in this directory")
)

// ScopeClashError names both sides of a clash.
type ScopeClashError struct {
	Repository   string
	Trust, Other string
}

// Error states the facts in one line.
func (e *ScopeClashError) Error() string {
	return fmt.Sprintf("%s: %s has a statement of trust %q, and %q has one too", ErrScopeClash, e.Repository, e.Other, e.Trust)
}

// Is makes the error ErrScopeClash.
func (e *ScopeClashError) Is(target error) bool { return target == ErrScopeClash }
