// Package trust is the consumer of a trust repository: it starts from a pinned
// root, follows the TUF client workflow, keeps what it has seen, and answers
// with verified targets.
//
// [Config] holds the named pins of a person or a machine. A [Client] is made
// from the bytes of one pinned root; there is no trust on first use, anywhere.
//
//	client, err := trust.New(rootBytes, trust.Options{Source: src, StateDir: dir})
//	view, err := client.Refresh(ctx)
//	data, target, err := view.Get(ctx, "sigstore/trusted_root.json")
//
// [Client.Refresh] asks the source once and commits what verified, [Client.Load]
// answers from the stored state alone. Both return a [View]: one verified state
// that never changes and is safe for concurrent use. [Refresher] keeps a current
// view for programs that run for long.
//
// Nothing that a source sends is parsed by go-tuf before a strict check of its
// own ([Precheck]), and nothing is believed before it verifies from the pin. The
// package does not print, and reads no environment variable.
//
// # State
//
// The state of a pin lies in <StateDir>/<sha256 of the pinned root>/ and is no
// cache: it is what protects against rollback. The root chain in it is verified
// again from the pin at each start; one that does not start there is
// [ErrWrongRoot] and is never repaired. Any other damaged file heals with the
// next refresh. No lock is held while the network is used.
//
// # Reserved names
//
// Names for which [Reserved] is true are read from the list of the top-level
// role targets only, see there. For all other names the answer is the TUF walk
// over the delegations, at most 32 roles, each verified against the role that
// leads to it.
package trust
