// Package tuftest makes signed TUF repositories, bundles of them, and a
// registry with faults, for tests.
//
// It shares no code with the packages under test: metadata is built as plain
// JSON, signed with the standard library and packed by a second implementation
// of the layout, so that a mistake in ours does not cancel itself out.
//
//	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
//	repo.AddTarget("hello.txt", []byte("hello"))
//	repo.Publish()
//	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})
//	registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
//
// Everything fails the test that it was made with; nothing returns an error.
package tuftest
