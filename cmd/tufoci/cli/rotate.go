package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newRotate() *cobra.Command {
	return newGroup("rotate", "Replace keys in all their roles at once", a.newRotateKey(), a.newRotateOnline())
}

// rotateResult is what a rotation has staged, and who signs it.
type rotateResult struct {
	document
	Old   []string `json:"old"`
	New   string   `json:"new"`
	Roles []string `json:"roles"`
	// Signatures are of what is staged and people sign; Online is what publish signs.
	Signatures []roleSignatures `json:"signatures"`
	Online     []string         `json:"online"`
	Unused     []string         `json:"unused"`
	Next       string           `json:"next"`
}

func newRotateResult(w *metadata.Workspace, rotated *metadata.KeyRotation) (*rotateResult, error) {
	r := &rotateResult{
		Old: append([]string{}, rotated.Old...), New: rotated.New, Roles: append([]string{}, rotated.Roles...),
		Signatures: []roleSignatures{}, Online: []string{}, Unused: append([]string{}, rotated.Unused...),
	}
	st, err := w.Status()
	if err != nil {
		return nil, err
	}
	for _, role := range st.Roles {
		if role.Online && (role.StagedVersion > 0 || slices.Contains(r.Roles, role.Role)) {
			r.Online = append(r.Online, role.Role)
		}
	}
	staged, err := w.Signatures()
	if err != nil {
		return nil, err
	}
	for _, s := range staged {
		if !slices.Contains(r.Online, s.Role) {
			r.Signatures = append(r.Signatures, newRoleSignatures(s))
		}
	}
	r.Next = r.next()
	return r, nil
}

// next is how what is staged gets its signatures. What several people sign goes round as a ceremony.
func (r *rotateResult) next() string {
	next := nextPublish
	for _, s := range r.Signatures {
		for _, rule := range s.Rules {
			switch missing := rule.Need - rule.Have; {
			case missing > 1:
				return nextSeveral
			case missing == 1:
				next = nextSign
			}
		}
	}
	return next
}

// What follows a rotation.
const (
	nextSeveral = "`tufoci sign`, if all the keys are here; else `tufoci ceremony start -m MESSAGE -o FILE`, for those who have them; then `tufoci publish`"
	nextSign    = "`tufoci sign`, then `tufoci publish`"
	nextPublish = "`tufoci publish`"
)

func (r *rotateResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s: %s -> %s\n", printable(strings.Join(r.Roles, ", ")), printable(strings.Join(r.Old, ", ")), printable(r.New))
	for _, s := range r.Signatures {
		if s.Complete {
			continue
		}
		for _, rule := range s.Rules {
			fmt.Fprintf(w, "to be signed: %s, %d more of {%s}, which %s names\n",
				versionText(s.Role, s.Version), rule.Need-rule.Have, printable(joinKeys(rule.Keys)), printable(rule.By))
		}
	}
	if len(r.Online) > 0 {
		fmt.Fprintf(w, "signed by publish: %s, with %s\n", printable(strings.Join(r.Online, ", ")), printable(r.New))
	}
	for _, name := range r.Unused {
		fmt.Fprintf(w, "%s signs no role once this is published; then %s\n", printable(name), unusedKey(printable(name)))
	}
	fmt.Fprintf(w, "Next:  %s\n", r.Next)
}

func unusedKey(name string) string { return "`tufoci key rm " + name + "`" }
