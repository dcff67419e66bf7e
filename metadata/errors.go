package metadata

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller branches on. They are reached with errors.Is; where there is data, a typed error wraps them.
var (
	// ErrNoWorkspace: the directory holds no tufoci.yaml or no .tufoci directory.
	ErrNoWorkspace = errors.New("no workspace here")
	// ErrWorkspaceExists: Init was asked to write over a workspace.
	ErrWorkspaceExists = errors.New("workspace exists already")
	// ErrLocked: another process holds the lock of the workspace.
	ErrLocked = errors.New("workspace is locked by another process")
	// ErrDamaged: a file of the workspace is not what tufoci wrote. Nothing was changed.
	ErrDamaged = errors.New("workspace is damaged")
	// ErrConflict: a role with staged changes was published by someone else since it was staged.
	// Always a *ConflictError.
	ErrConflict = errors.New("role moved since it was staged")
	// ErrForeignHead: the head belongs to another repository: its root chain is not that of this workspace.
	ErrForeignHead = errors.New("head is not of this repository")
	// ErrHead: the head is not a whole repository, although its caller said that it verified.
	ErrHead = errors.New("head is not a whole repository")
	// ErrLastVersion: timestamp or snapshot of the head has the last version that clients take, 2^53-1: somebody drove it up.
	ErrLastVersion = errors.New("no version is left")
	// ErrStaged: a role that is to be replaced has staged changes. Always a *StagedError.
	ErrStaged = errors.New("other changes are staged")
	// ErrNeedSignatures: staged roles lack signatures. Always a *NeedSignaturesError.
	ErrNeedSignatures = errors.New("staged changes need more signatures")
	// ErrLint: the result would be refused by lint. Always a *LintError.
	ErrLint = errors.New("refused by lint")
	// ErrNoRole: no role has that name.
	ErrNoRole = errors.New("no such role")
	// ErrRoleExists: a role of that name exists already.
	ErrRoleExists = errors.New("role exists already")
	// ErrNoTarget: no target has that path.
	ErrNoTarget = errors.New("no such target")
	// ErrNotAtHand: the workspace does not have the bytes of a target; the head has.
	ErrNotAtHand = errors.New("the bytes of the target are not in the workspace")
	// ErrImageDiffers: a name of an image is signed with another digest. Always an *ImageDiffersError.
	ErrImageDiffers = errors.New("image is signed with another digest")
	// ErrImageInUse: the entry of a digest cannot go alone, since tags have it. Always an *ImageInUseError.
	ErrImageInUse = errors.New("digest has a tag")
	// ErrInvalid: a name, path, pattern or value that a caller gave is refused.
	ErrInvalid = errors.New("invalid")
	// ErrNotStaged: a role has nothing staged that could be signed, frozen or proposed. Also an ErrInvalid.
	ErrNotStaged = fmt.Errorf("%w: nothing is staged", ErrInvalid)
	// ErrReserved: a pattern or path touches the reserved names, which only the top-level targets role may list.
	ErrReserved = errors.New("reserved name")
	// ErrNotDelegated: the role is not allowed to sign the path.
	ErrNotDelegated = errors.New("path is not delegated to the role")
	// ErrNoSpareKey: a change would leave root without a spare key.
	ErrNoSpareKey = errors.New("root would lose its spare key")
	// ErrProposal: a role cannot be proposed, or what is proposed of it cannot follow the head.
	ErrProposal = errors.New("cannot be proposed")
	// ErrKeyMissing: no key of that name is known, or no private key is at hand that could sign.
	ErrKeyMissing = errors.New("key is missing")
	// ErrPayload: bytes to sign are not the canonical form of TUF metadata.
	ErrPayload = errors.New("not the canonical form of TUF metadata")
	// ErrSignature: a signature that was made elsewhere is refused. It is of a key that may not sign the role, or it does
	// not verify: over other bytes, by another key or another scheme.
	ErrSignature = errors.New("signature is refused")
	// ErrFrozen: people are signing what is staged of a role. Always a *FrozenError.
	ErrFrozen = errors.New("role is frozen")
	// ErrNotFrozen: nothing is frozen under an id.
	ErrNotFrozen = errors.New("nothing is frozen under this id")
	// ErrChanged: what is staged is not what was signed.
	ErrChanged = errors.New("what is staged is not what was signed")
)

// ConfigError says what is wrong with a tufoci.yaml, with the line where it is known. It wraps an ErrInvalid.
type ConfigError struct {
	File string
	Err  error
}

func (e *ConfigError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap gives the fault.
func (e *ConfigError) Unwrap() error { return e.Err }

// ConflictError says which staged roles moved. It Is ErrConflict.
type ConflictError struct {
	Roles []RoleConflict
	// Base and Head are the digests of the bundles on which the roles were staged and which there is now; Base is ""
	// before the first publish.
	Base, Head string
}

// RoleConflict is one role that was staged on BaseVersion while the head has HeadVersion, 0 for a role that is no more.
type RoleConflict struct {
	Role                                    string
	BaseVersion, StagedVersion, HeadVersion int64
	Changes                                 int // that are staged
}

func (e *ConflictError) Error() string {
	parts := make([]string, len(e.Roles))
	for i, r := range e.Roles {
		parts[i] = r.String()
	}
	text := strings.Join(parts, "; ")
	if e.Head == "" {
		return text
	}
	return fmt.Sprintf("%s (bundle %s -> %s)", text, cmp.Or(e.Base, "none"), e.Head)
}

func (r RoleConflict) String() string {
	staged := fmt.Sprintf("v%d", r.StagedVersion)
	switch {
	case r.Changes == 1:
		staged = "1 change on it"
	case r.Changes > 1:
		staged = fmt.Sprintf("%d changes on it", r.Changes)
	}
	return fmt.Sprintf("%s moved from v%d to v%d since you staged %s", r.Role, r.BaseVersion, r.HeadVersion, staged)
}

// Is reports that the error is an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// NeedSignaturesError lists the roles that lack signatures and who can give them. It Is ErrNeedSignatures.
type NeedSignaturesError struct {
	Roles []RoleSignatures
}

func (e *NeedSignaturesError) Error() string {
	parts := make([]string, len(e.Roles))
	for i, r := range e.Roles {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}

// Is reports that the error is an ErrNeedSignatures.
func (e *NeedSignaturesError) Is(target error) bool { return target == ErrNeedSignatures }

// notDelegatedError names the roles that a lookup of the path visits. It Is ErrNotDelegated.
type notDelegatedError struct {
	path, role string
	may        []string
}

func (e *notDelegatedError) Error() string {
	return fmt.Sprintf("no lookup of %q comes to role %q: it visits %s", e.path, e.role, strings.Join(e.may, ", "))
}

func (e *notDelegatedError) Is(target error) bool { return target == ErrNotDelegated }
