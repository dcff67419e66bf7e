// Package verify answers "may I run this image?" from pinned roots: the tag is
// signed as this digest, the Notation signature chains to a certificate that TUF
// delivered, nothing is revoked.
//
//	v, err := verify.New(verify.Options{Trusts: trusts, Open: open})
//	result := v.Image(ctx, image, nil)
//	if result.Err == nil { run(result.Digest) }
//
// Load gives programs that use notation-go themselves its trust store, CRL
// fetcher and policy, as TUF delivers them.
//
// Everything that a registry serves beside the trust repository (the image, its
// referrers, their envelopes) is in doubt until it verifies: one bad signature or
// referrer hides no good one, and whoever can push but holds no key can at most
// deny.
//
// # What it checks
//
// Each trust whose scope decides on the image has to accept it: nothing of it is
// revoked (itself, the manifests of an index and of indexes in it, the index of a
// platform); its tag, digest or both are signed as what is served; one signature is good
// by the trust's policy, at no lower level than the trust takes. Revoked certificates
// refuse a signature at every level, by lists and by CRLs of any age. Required is what
// the trust requires; a caller can add to it.
//
// # What it does not do
//
// It asks for a digest once: what a registry serves under a tag later is not
// covered, so run Result.Digest. It runs no plugins of Notation.
package verify
