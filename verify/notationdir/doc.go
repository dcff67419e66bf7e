// Package notationdir writes the material of trusts into the directories that the
// stock notation command reads, so that no reader ever sees a mixture of two
// generations: certificates first, under store names that no older policy names,
// CRLs next, the policy last.
//
//	m, err := verify.Load(ctx, view, scopes)
//	report, err := notationdir.Sync(ctx, notationdir.Input{
//		Trust: "acme", Scopes: scopes, Status: view.Status(), Set: m.Set(), Repositories: repositories,
//	}, notationdir.Options{Config: config, Cache: cache})
//
// Close lets nothing verify, for a trust that is staler than it may be; Last tells
// what was synced.
package notationdir
