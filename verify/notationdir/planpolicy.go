package notationdir

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// planPolicy plans both policy files from the statements of all trusts.
func (s *session) planPolicy(trustName string) error {
	var others []string
	for _, name := range sortedKeys(s.next.Trusts) {
		if name != trustName && len(s.next.Trusts[name].Statements) > 0 {
			others = append(others, name)
		}
	}
	switch {
	case s.o.Policy == PolicyReplace:
		for _, name := range others {
			delete(s.next.Trusts, name)
		}
	case s.o.Policy != PolicyMerge && len(others) > 0:
		return fmt.Errorf("%w: %s", ErrOtherTrust, strings.Join(others, ", "))
	}
	doc, err := document(s.next.Trusts)
	if err != nil {
		return err
	}
	want, err := marshalPolicy(doc)
	if err != nil {
		return err
	}
	if len(want) > maxPolicyFile {
		return fmt.Errorf("%w: %d bytes, of which the next sync would read %d", ErrPolicy, len(want), maxPolicyFile)
	}
	for _, file := range []string{policyFile, policyFileOCI} {
		if err := s.planPolicyFile(file, want); err != nil {
			return err
		}
	}
	s.next.Policy = []string{sum(want)}
	return nil
}

func (s *session) planPolicyFile(file string, want []byte) error {
	there, err := ownfile.Read(s.config(file), maxPolicyFile)
	odd := errors.Is(err, ownfile.ErrOdd)
	if err != nil && !odd {
		return err
	}
	written := len(s.state.Policy) > 0 && !s.state.Pending
	if written && (odd || !slices.Contains(s.state.Policy, sum(there))) {
		s.drift(file)
	}
	switch {
	case there == nil && !odd:
		s.change("add", file, "")
	case !odd && sum(there) == sum(want):
		return nil
	case !odd && slices.Contains(s.state.Policy, sum(there)), s.o.Policy == PolicyReplace:
		s.change("replace", file, "")
	default:
		return fmt.Errorf("%w: %s", ErrForeign, s.config(file))
	}
	s.policies = append(s.policies, policyChange{file, want})
	if file == policyFile {
		s.report.Diff = unified(file, there, want)
	}
	return nil
}
