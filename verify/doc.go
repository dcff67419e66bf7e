// Package verify answers "may I run this image?" from pinned roots: the tag is
// signed as this digest, the Notation signature chains to a certificate that TUF
// delivered, nothing is revoked.
//
//	v, err := verify.New(verify.Options{Trusts: trusts, Open: open})
//	result := v.Image(ctx, image)
//	if result.Err == nil { run(result.Digest) }
//
// Load gives programs that use notation-go themselves its trust store, CRL
// fetcher and policy, as TUF delivers them.
//
// Everything that a registry serves beside the trust repository (the image, its
// referrers, their envelopes) is in doubt until it verifies: one bad signature or
// referrer hides no good one, and whoever can push but holds no key can at most
// deny.
package verify
