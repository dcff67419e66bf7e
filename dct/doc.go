// Package dct reads what Docker Content Trust, Notary v1, has signed, so that its
// tags can be signed anew elsewhere. It reads two things:
//
//   - the TUF metadata of Notary v1, as the docker command keeps it below
//     ~/.docker/trust/tuf and as a notary server gives it out. [Read] verifies it from
//     a root that the caller names: a root.json, or the id of a root key.
//   - the list that `docker trust inspect` prints. Nobody has signed it; [ReadList]
//     says what it claims.
//
// It fetches nothing and writes nothing.
package dct
