// Package serve gives a trust repository to TUF clients that know no registries: as
// a classic TUF repository over http, read-only.
package serve
