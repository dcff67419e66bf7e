package dct

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrFormat says that a file is not what Notary v1 or docker writes.
	ErrFormat = errors.New("not the data of Docker Content Trust")
	// ErrSignature says that metadata is not signed by the keys that its root
	// names, or is not what the metadata above it lists.
	ErrSignature = errors.New("metadata of Docker Content Trust does not verify")
	// ErrRoot says that no root was given, or that the one that was given does not
	// lead to what is there.
	ErrRoot = errors.New("the root of Docker Content Trust is not the one that is pinned")
	// ErrExpired is what an [ExpiredError] is.
	ErrExpired = errors.New("metadata of Docker Content Trust has expired")
)

// Repository is what Docker Content Trust says of one repository of images.
type Repository struct {
	// GUN is its name, "docker.io/library/alpine", as docker writes it.
	GUN string
	// Verified: the tags were signed by keys of the pinned root, and nothing has
	// expired. False for a list.
	Verified bool
	// Tags are those that docker would pull by, sorted.
	Tags []Tag
	// Left are names and delegations that are not among the tags.
	Left []Left
	// Roles is the metadata that was verified.
	Roles []Role
	// Keys are the keys of the roles, and of the people who may sign.
	Keys []Key
	// Warnings are what a person should read.
	Warnings []string
}

// Tag is a tag and what it stands for.
type Tag struct {
	Name   string
	SHA256 string // of the manifest, in hex
	// Length of the manifest in bytes; 0 in a list, which does not say it.
	Length int64
	// Role that has signed it, "" in a list.
	Role string
}

// Left is something that does not become a tag.
type Left struct {
	Role   string
	Name   string // "" for a delegation as a whole
	Reason string
}

// Role is one metadata file.
type Role struct {
	Name    string
	Version int64
	Expires time.Time
}

// Key is a key that may sign for a role.
type Key struct {
	Role string // root, targets, targets/alice
	// ID is that of the key, by which docker names the file of its private half; for
	// a root key with a certificate that is not the id in the metadata.
	ID   string
	Type string // ecdsa, rsa, ed25519
}

// ExpiredError says which metadata has expired. It is [ErrExpired].
type ExpiredError struct {
	GUN  string
	Role Role
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%s: %s v%d expired %s", e.GUN, e.Role.Name, e.Role.Version, e.Role.Expires.UTC().Format(time.RFC3339))
}

// Is reports that the error is an [ErrExpired].
func (e *ExpiredError) Is(target error) bool { return target == ErrExpired }
