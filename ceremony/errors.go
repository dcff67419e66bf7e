package ceremony

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/metadata"
)

// Errors that a caller branches on.
var (
	// ErrFormat: a file is not a ceremony, or was changed: its txid is not that of what is to be signed.
	ErrFormat = errors.New("not a ceremony file")
	// ErrNewerFormat: a newer tufoci wrote the file.
	ErrNewerFormat = errors.New("ceremony file of a newer format")
	// ErrOther: a signature or a file is of another ceremony, or the ceremony of another repository.
	ErrOther = errors.New("of another ceremony")
	// ErrMoved: something newer has been published than what the ceremony started from. Always a *BaseError.
	ErrMoved = errors.New("base of the ceremony has moved")
	// ErrBaseDiffers: what the ceremony says was published is not what is. Always a *BaseError.
	ErrBaseDiffers = errors.New("base of the ceremony is not what is published")
	// ErrIncomplete: thresholds are not met yet. Always an *IncompleteError.
	ErrIncomplete = errors.New("more signatures are needed")
	// ErrNeedsKey: a signature that does not say by which key it is.
	ErrNeedsKey = errors.New("the file does not say by which key it was signed")
	// ErrLocked: another process changes the same file.
	ErrLocked = errors.New("another process changes the file")
)

// BaseError says which role is published otherwise than a ceremony says. It Is ErrMoved where that is newer, else
// ErrBaseDiffers.
type BaseError struct {
	Role              string
	Frozen, Published int64     // versions, 0 for none
	Digests           [2]string // hex sha256 of either file, "" for none
}

func (e *BaseError) Error() string {
	switch {
	case e.Published == 0:
		return fmt.Sprintf("%s v%d is said to be published, and is not", e.Role, e.Frozen)
	case e.Frozen == e.Published && e.Digests[0] == e.Digests[1]:
		return fmt.Sprintf("%s v%d is published with other bytes than the ceremony started from", e.Role, e.Published)
	case e.Frozen == e.Published:
		return fmt.Sprintf("%s v%d is published with sha256 %s; the ceremony started from %s", e.Role, e.Published, e.Digests[1], e.Digests[0])
	case e.Frozen == 0:
		return fmt.Sprintf("%s v%d is published; the ceremony started when there was none", e.Role, e.Published)
	}
	return fmt.Sprintf("%s v%d is published; the ceremony started from v%d", e.Role, e.Published, e.Frozen)
}

// Is reports which of the two errors it is.
func (e *BaseError) Is(target error) bool {
	if e.Published > e.Frozen {
		return target == ErrMoved
	}
	return target == ErrBaseDiffers
}

// IncompleteError lists the roles that lack signatures. It Is ErrIncomplete.
type IncompleteError struct {
	Roles []metadata.RoleSignatures
}

func (e *IncompleteError) Error() string {
	parts := make([]string, len(e.Roles))
	for i, r := range e.Roles {
		rules := make([]string, 0, len(r.Rules))
		for k, rule := range r.Rules {
			if rule.Have < rule.Need {
				rules = append(rules, fmt.Sprintf("signed by %d of %d required under %s%s", rule.Have, rule.Need, rule.By, side(r, k)))
			}
		}
		parts[i] = fmt.Sprintf("%s v%d cannot be published: %s", r.Role, r.Version, strings.Join(rules, ", "))
	}
	return strings.Join(parts, "; ")
}

// Is reports that the error is an ErrIncomplete.
func (e *IncompleteError) Is(target error) bool { return target == ErrIncomplete }

// side tells the two rules of a root apart.
func side(r metadata.RoleSignatures, i int) string {
	switch {
	case r.Role != "root" || len(r.Rules) < 2:
		return ""
	case i == 0:
		return " (old rules)"
	}
	return " (new rules)"
}
