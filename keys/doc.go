// Package keys reaches private keys where they live: in an ssh-agent, in PKCS#11 tokens, and in key management services
// through the plugin programs of Sigstore, sigstore-kms-NAME. An [Opener] is what package metadata takes for them.
//
//	ssh-agent:SHA256:FINGERPRINT              a key of the running agent
//	pkcs11:token=T;object=O?module-path=/M    a key of a token, through the program sigstore-kms-pkcs11
//	NAME://RESOURCE                           a key of whatever the program sigstore-kms-NAME knows
//
// A program is looked for on PATH, then beside the running program. The plugin protocol is spoken here, with the types of
// package common of sigstore: its own client hands no environment to the plugin, reads what comes without a bound, writes
// to the standard error of the process and ends the process on some errors.
//
// [DecodePrivateKey] reads private key files of other programs.
package keys
