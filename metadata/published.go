package metadata

// Root1 is the first root of the repository, which consumers pin: that of the base, or the staged one before the first
// publish. Publishing verifies the head of the channel from it.
func (w *Workspace) Root1() ([]byte, error) { panic("not implemented") }

// Base is what this workspace published or took over last: every metadata file with its bytes, no target files, and the
// digest of the bundle. It is nil before the first publish, and after ResetAll, when the next head is to be
// taken over whatever it holds: publishing then does not ask whether the head was built on the base.
func (w *Workspace) Base() (*Head, error) { panic("not implemented") }
