package token

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
)

// A URI names a module, a token and a key, each once, and no PIN; without where the PIN is it names the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"pkcs11:token=a;object=b?module-path=/m", "pkcs11:slot-id=7;id=%01%02;type=private?module-path=/m&pin-source=file:/p", "//token=a%3Bb;id=%00?pin-source=/p&module-path=/m",
		"token=a;token=b?module-path=/m", "token=a;object=b?module-path=/m&pin-value=1234", "token=a;object=b?module-path=m", "pkcs11:pin-value=1;?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrURI) {
				t.Fatal(err)
			}
			return
		}
		if !filepath.IsAbs(u.Module) || u.PINSource != "" && !filepath.IsAbs(u.PINSource) || u.TokenName() == "" || u.KeyName() == "" {
			t.Fatalf("%q: %+v", text, u)
		}
		want := *u
		want.PINSource = ""
		if got, err := Parse(WithoutPIN(text)); err != nil || !reflect.DeepEqual(*got, want) {
			t.Fatalf("%q, without its PIN: %+v, %v; want %+v", text, got, err, want)
		}
	})
}
