// Package fetcher gives any go-tuf program a TUF repository that is kept in an
// OCI registry, an OCI layout directory, an OCI archive, on a web server or in
// a directory.
//
// A [Source] says where the repository is; [ParseSource] reads the forms that
// the command line takes. [New] makes a [Fetcher] for go-tuf's updater:
//
//	src, err := fetcher.ParseSource("registry.example.com/acme/trust")
//	cfg, err := config.New("https://unused.example", rootBytes)
//	f := fetcher.New(ctx, src, fetcher.Options{})
//	f.Configure(cfg)
//	up, err := updater.New(cfg)
//	err = up.Refresh()
//
// [Open] is the layer below: one [View] is one consistent state of the source.
// It resolves the tag once, pins the digest of the bundle found, and reads every
// other file by digest, from the inline layer, from the caller's own store
// ([Options].Have) or from the registry, at most once each.
//
// Nothing that this package returns is verified as TUF metadata. That is the
// work of go-tuf, or of package trust, which is built on this one. What is held
// here: sizes and rates have hard limits ([Limits]), a blob has the digest that
// the bundle states, and "not found" never stands for anything else.
//
// # The 404 rule
//
// go-tuf ends its search for newer roots when the fetcher reports HTTP status
// 404, and takes the root that it has for the newest. So that error is given
// only if a bundle that was read whole does not list the root, if a directory
// has no such file, or if a web server answers exactly 404 for it. A missing tag
// is [ErrNoRepository]; refused credentials, a server error, damage, a time-out
// and a lost blob are errors of their own.
package fetcher
