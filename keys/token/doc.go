// Package token is what tufoci and its PKCS#11 plugin have in common: the URIs of keys in tokens (RFC 7512), and what the
// plugin's exit status says about PINs.
package token
