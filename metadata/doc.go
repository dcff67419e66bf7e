// Package metadata makes TUF repositories: keys, roles, delegations, targets, signatures. It knows files, not networks.
//
// A publisher's directory is a [Workspace]: tufoci.yaml, and in .tufoci what was published last (base) and what is to be
// published next (staged). [Init] makes one, [Open] opens it and locks it for other processes.
//
// Edits stage the next version of the roles that they change: [Workspace.SetRole], [Workspace.AddDelegation],
// [Workspace.AddBins], [Workspace.AddTarget], [Workspace.AddTargetEntries], [Workspace.RemoveTarget]. They never sign; an
// edit of a role drops its signatures. [Workspace.Status] and [Workspace.Diff] show what is staged, [Workspace.Sign] adds
// signatures to it, [Workspace.Reset] drops it.
//
// [Workspace.Assemble] makes the next state of the repository out of the head of the channel and what is staged, and signs
// the online roles: snapshot, timestamp and hash bins, with profile dev every role. [Workspace.Published] records it. What
// lies between them, verifying as a client and pushing, is for the caller. [Refresh] makes the next state without a
// workspace. Where others have published the same roles, [Workspace.Rebase] makes the staged changes again on theirs.
//
// [Workspace.RotateKey] and [Workspace.RotateOnline] replace keys, [Workspace.Rollback] stages old content,
// [Workspace.Propose] judges a role that a team has signed, [Adopt] makes a workspace of a repository that exists. A
// [Changeset] takes staged roles to where others sign them; [Workspace.Freeze] keeps them as they are meanwhile.
//
// A workspace survives being killed at any step: every file is replaced by rename, and each change has one rename that
// commits it.
//
// Names and bytes are those of TUF 1.0: metadata that others made is carried byte for byte, and signed bytes are never
// encoded again.
package metadata
