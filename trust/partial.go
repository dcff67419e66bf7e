package trust

import "context"

// FilesFor returns the files that a client needs to answer the lookups of names,
// and no more: every root, timestamp, snapshot, targets, each role that the walk of
// a name visits (those that do not list it as well) and those in roles that a
// delegation still reaches, the role revocations, and the files of all reserved
// names. In the order of Files. It fails where Files does, and with
// ErrTargetNotFound for a name that nothing lists.
func (v *View) FilesFor(ctx context.Context, names, roles []string) (*FileSet, error) {
	panic("not built")
}
