// Package mirror takes images and their trust to another place together: between
// registries, into an archive that is carried across an air gap, and out of it.
//
//	result, err := mirror.Copy(ctx, mirror.Options{
//		Source: source, Destination: destination, Images: images,
//	})
//
// Nothing is written under a tag before it verifies. Images are verified with the
// code that verifies them for running them (package verify), metadata with that of
// a client (package trust, through publish.Mirror), and what is copied of an image
// is what was verified, by digest. The destination never goes backwards.
package mirror
