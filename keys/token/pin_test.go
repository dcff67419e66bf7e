package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPINFile(t *testing.T) {
	t.Parallel()
	for content, ok := range map[string]bool{"1234": true, "1234\r\n": true, "": false, "\n": false, "12\n34": false, strings.Repeat("1", MaxPIN+1): false} {
		file := filepath.Join(t.TempDir(), "pin")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if pin, err := ReadPIN(file); ok != (err == nil) || ok && string(pin) != "1234" {
			t.Errorf("%.10q: %q, %v", content, pin, err)
		}
	}
}
