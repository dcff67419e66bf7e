package metadata

import (
	"errors"
	"strings"
	"testing"
)

// Keys in forms that are not read any more come with the way to convert them.
func TestDecodeOldEncryption(t *testing.T) {
	t.Parallel()
	data := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	_, err := DecodePrivateKey(data, testPassphrase)
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "openssl pkcs8 -topk8") {
		t.Errorf("%v", err)
	}
}
