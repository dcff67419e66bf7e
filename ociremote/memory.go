package ociremote

// NewMemory is an empty repository in memory.
func NewMemory() WritableRepository { panic("not implemented") }
