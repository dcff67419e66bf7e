// Package metadata makes TUF repositories: keys, roles, delegations, targets, signatures. It knows files, not networks.
package metadata
