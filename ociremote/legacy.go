package ociremote

import "context"

// FetchLegacyRole reads the manifest of one delegated role of the older layout
// of docker/attest: a [Bundle] with Legacy set that has one file.
func FetchLegacyRole(ctx context.Context, repo Repository, role string) (*Bundle, error) {
	panic("not implemented")
}

// FetchLegacyTarget reads one target file of the older layout from its targets
// repository. The name is that of the file as TUF asks for it under targets/:
// with its hash where the repository has consistent snapshots, such as
// "dir/<sha256>.name". role is "targets" or the delegated role that lists it.
func FetchLegacyTarget(ctx context.Context, repo Repository, role, name string, max int64) ([]byte, error) {
	panic("not implemented")
}
