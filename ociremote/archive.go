package ociremote

// Archive is an OCI archive that is being written: a WritableRepository.
type Archive struct{ WritableRepository }

// CreateArchive starts an archive. The file appears, or is replaced, at Commit.
func CreateArchive(file string) (*Archive, error) { panic("not implemented") }

// Commit writes the archive.
func (a *Archive) Commit() error { panic("not implemented") }

// Close drops an archive that was not committed.
func (a *Archive) Close() error { panic("not implemented") }

func openArchive(file string) (Repository, error) { panic("not implemented") }
