package token

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	u, err := Parse("pkcs11:token=acme%20root;serial=12;manufacturer=M;model=N;slot-id=7;object=tuf%3bkey;id=%01%ff;type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin")
	if err != nil {
		t.Fatal(err)
	}
	if u.Token != "acme root" || u.Object != "tuf;key" || string(u.ID) != "\x01\xff" || *u.SlotID != 7 || u.Module != "/usr/lib/m.so" || u.PINSource != "/run/pin" {
		t.Errorf("%+v", u)
	}
	if u.TokenName() != "acme root, serial 12, manufacturer M, model N, slot 7" || u.KeyName() != `"tuf;key" with id 01ff` {
		t.Errorf("%s; %s", u.TokenName(), u.KeyName())
	}
	if _, err := Parse("token=a;object=b?module-path=/m"); err != nil { // as a plugin gets it
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pkcs11:token=a;object=b":                                     "module-path=/PATH",
		"pkcs11:token=a;object=b?module-path=m.so":                    "absolute",
		"pkcs11:object=b?module-path=/m":                              "names no token",
		"pkcs11:token=a?module-path=/m":                               "names no key",
		"pkcs11:token=a;object=b?module-path=/m&pin-value=1234":       "PIN does not belong",
		"pkcs11:token=a;object=b;pin-value=1234?module-path=/m":       "PIN does not belong",
		"pkcs11:token=a;object=b?module-path=/m&pin-source=|cat%20pi": "file:/PATH",
		"pkcs11:token=a;object=b?module-path=/m&pin-source=file:pin":  "file:/PATH",
		"pkcs11:token=a;token=b;object=b?module-path=/m":              "twice",
		"pkcs11:token=;object=b?module-path=/m":                       "no value",
		"pkcs11:token=%zz;object=b?module-path=/m":                    "bad escape",
		"pkcs11:token=a;object=b;type=cert?module-path=/m":            "not a key",
		"pkcs11:token=a;object=b;slot-id=x?module-path=/m":            "not a number",
		"pkcs11:token=a;object=b;x-vendor=1?module-path=/m":           "not known",
		"pkcs11:token=a;object=b?module-name=m":                       "not known",
	} {
		if _, err := Parse(text); !errors.Is(err, ErrURI) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestWithoutPIN(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pkcs11:token=a;object=b?module-path=/m&pin-source=file:/p": "token=a;object=b?module-path=/m",
		"pkcs11:token=a;object=b?pin-source=file:/p&module-path=/m": "token=a;object=b?module-path=/m",
		"pkcs11:token=a": "token=a",
	} {
		if got := WithoutPIN(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
