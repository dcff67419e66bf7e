// Package material reads and checks what travels under reserved names as TUF
// targets: certificates of Notation trust stores, CRLs with their issuers, the
// Notation trust policy, and revocations. Publishers lint with it before they
// publish, consumers parse with it after they have verified.
//
//	findings := material.Lint(files, material.LintOptions{Previous: published, TimestampExpires: expires, Now: now})
//	set, err := material.Read(files)
//
// It knows names and bytes. It does no I/O, knows no TUF, and verifies no image.
package material
