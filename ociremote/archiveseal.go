package ociremote

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// SealedArchive is a finished archive that does not have its name yet.
type SealedArchive struct {
	// Repository reads it as everybody will who opens the file.
	Repository
	// Digest and Size are those of the file.
	Digest digest.Digest
	Size   int64
}

// Seal writes the archive to its end, syncs it and opens it for reading. Nothing can
// be added then; what is left is Commit, which gives the file its name, or Close.
// The result is to be used before Close; after Commit it goes on reading the same
// bytes, whatever becomes of the name.
func (a *Archive) Seal() (*SealedArchive, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.seal(); err != nil {
		return nil, err
	}
	size := a.end + 2*tarBlock
	sum, err := digest.SHA256.FromReader(io.NewSectionReader(a.temp, 0, size))
	if err != nil {
		return nil, err
	}
	l, err := openArchive(context.Background(), a.temp.Name()) // written here
	if err != nil {
		return nil, err
	}
	l.where = a.file // no word of the temporary file
	return &SealedArchive{Repository: l, Digest: sum, Size: size}, nil
}

// seal finishes the file once. The caller holds the lock.
func (a *Archive) seal() error {
	if a.temp == nil {
		return errClosed
	}
	if a.sealed {
		return nil
	}
	if err := a.finish(); err != nil {
		return err
	}
	a.sealed = true
	return nil
}
