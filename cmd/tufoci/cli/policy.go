package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

// Kinds of policies.
const (
	policyNotation = "notation"
	policySigstore = "sigstore"
	policyCustom   = "custom"
)

const (
	// sigstoreName is the trusted root of Sigstore, as cosign takes it with --trusted-root.
	sigstoreName = sigstorePrefix + trustedRoot
	// policyTree holds policies of other programs.
	policyTree = "policy/"
)

func (a *app) newPolicy() *cobra.Command {
	return newGroup("policy", "Policies: what images must satisfy", a.newPolicySet(), a.newPolicyShow(), a.newPolicyLint())
}

// policyTarget is the target of a policy of a kind, which is read from a file.
func policyTarget(kind, path string) (string, error) {
	switch kind {
	case policyNotation:
		return material.PolicyName, nil
	case policySigstore:
		return sigstoreName, nil
	case policyCustom:
		return policyTree + filepath.Base(path), nil
	}
	return "", usagef("policy %q: there are %s, %s and %s", kind, policyNotation, policySigstore, policyCustom)
}

// checkPolicy refuses a file that no client of its kind would read.
func checkPolicy(kind string, data []byte) error {
	switch kind {
	case policyNotation:
		_, err := material.ParsePolicy(data)
		return err
	case policySigstore:
		var root struct {
			MediaType string `json:"mediaType"`
		}
		if err := json.Unmarshal(data, &root); err != nil || !strings.HasPrefix(root.MediaType, "application/vnd.dev.sigstore.trustedroot") {
			return fmt.Errorf("%w: not a trusted root of Sigstore, a JSON object with its mediaType", material.ErrInvalid)
		}
	}
	return nil
}

// finding is what lint says about one target.
type finding struct {
	Warning bool   `json:"warning"`
	Rule    string `json:"rule"`
	Target  string `json:"target"`
	Message string `json:"message"`
}

func newFindings(in []material.Finding) []finding {
	out := []finding{}
	for _, f := range in {
		out = append(out, finding{Warning: f.Warning, Rule: f.Rule, Target: f.Name, Message: f.Message})
	}
	return out
}

// lintError makes an error of those findings that stop a publish; nil without any.
func lintError(findings []material.Finding) error {
	var errs []metadata.Finding
	for _, f := range findings {
		if !f.Warning {
			errs = append(errs, metadata.Finding{Level: metadata.LevelError, Rule: f.Rule, Message: f.Name + ": " + f.Message})
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &metadata.LintError{Findings: errs}
}

func writeFindings(w io.Writer, findings []finding) {
	for _, f := range findings {
		mark := "✗"
		if f.Warning {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s: %s (%s)\n", mark, printable(f.Target), printable(f.Message), f.Rule)
	}
}
