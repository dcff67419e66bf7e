// Package publish writes trust repositories: [Publish] pushes what a
// workspace has signed, [Refresh] renews what is due without one, and [Monitor]
// says what will lapse. [Propose] leaves the next version of one role, signed by
// a team, for a refresh to fold in, and [Proposals] lists what waits for that.
// [History] says what became of each bundle that was published, [Rollback] stages
// an old one again, [Prune] removes old history tags. [ReadOrigin] reads a
// repository of which a workspace is to be made.
// [Mirror] copies a verified repository byte for byte to another registry, layout
// directory or archive.
//
// Trust also lies next to images, so that it travels with them. [Beside] keeps
// copies of a bundle in repositories of images, those that [BesideNames] finds.
// [Attach] pushes a referrer of one image with what its verification needs, and
// [Renewals] says which of those that are there have become old. Both copy what a
// view has verified, never before home has moved, and what fails in one place is
// done in all others. [Discover] shows what lies next to an image, and whose it is.
//
// A repository becomes visible at once, when its channel tag moves, and that
// is the last thing written. What the tag will name is verified before
// anything is pushed, with the code of a client (package trust): from an empty
// store, and from the state of a client that holds what is live now. Whoever
// is killed on the way, or dies with the registry, leaves readers on the old
// state or on the new one.
//
// Registries have no compare-and-swap on tags. Before the channel tag moves,
// its history tag ("tuf.v12") is written as a claim, and afterwards both are
// read back; this narrows the race of two publishers and detects it, but does
// not close it. Serialise publishers. A change that was overwritten is
// reported as [ErrFork], by the publish that lost or by the next one from the
// same workspace, which makes it again with Options.Rebase.
//
// The package never moves or deletes a tag that tufoci did not write.
package publish
