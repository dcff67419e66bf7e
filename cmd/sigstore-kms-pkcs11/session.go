//go:build cgo

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/tufoci/tufoci/keys/token"
)

// Mechanisms and key types of PKCS#11 3.0, which package pkcs11 does not name yet.
const (
	ckkECEdwards            = 0x40
	ckmECEdwardsKeyPairGen  = 0x1055
	ckmEDDSA                = 0x1057
	maxObjects              = 8 // that are looked at
	ckfProtectedAuthentPath = pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH
)

// session is an open session with the token of a URI.
type session struct {
	uri     *token.URI
	module  *pkcs11.Ctx
	slot    uint
	info    pkcs11.TokenInfo
	handle  pkcs11.SessionHandle
	entered bool // the user is logged in
	pin     string
}

// open loads the module and finds the token.
func open(uri *token.URI) (*session, error) {
	if _, err := os.Stat(uri.Module); err != nil {
		return nil, fmt.Errorf("PKCS#11 module: %w", err)
	}
	s := &session{uri: uri, module: pkcs11.New(uri.Module)}
	if s.module == nil {
		return nil, fmt.Errorf("PKCS#11 module: %s is not a library that can be loaded", uri.Module)
	}
	if err := s.module.Initialize(); err != nil {
		return nil, fmt.Errorf("PKCS#11 module %s: %w", uri.Module, err)
	}
	if err := s.openToken(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) openToken() error {
	slots, err := s.module.GetSlotList(true)
	if err != nil {
		return fmt.Errorf("PKCS#11 module %s: listing tokens: %w", s.uri.Module, err)
	}
	var found []uint
	var others []string
	for _, slot := range slots {
		info, err := s.module.GetTokenInfo(slot)
		if err != nil {
			continue
		}
		if s.matches(slot, info) {
			found = append(found, slot)
			s.slot, s.info = slot, info
		} else if label := strings.TrimSpace(info.Label); label != "" && len(others) < maxObjects {
			others = append(others, label)
		}
	}
	switch {
	case len(found) == 0 && len(others) == 0:
		return fmt.Errorf("no token %q is there, and no other: is it plugged in?", s.uri.TokenName())
	case len(found) == 0:
		return fmt.Errorf("no token %q is there; there is %s", s.uri.TokenName(), strings.Join(others, ", "))
	case len(found) > 1:
		return fmt.Errorf("%d tokens are called %q; add serial= or slot-id= to the URI", len(found), s.uri.TokenName())
	}
	// Read and write, since keys are made in it; a login needs no other.
	s.handle, err = s.module.OpenSession(s.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("token %q: opening a session: %w", s.uri.TokenName(), err)
	}
	return nil
}

func (s *session) matches(slot uint, info pkcs11.TokenInfo) bool {
	for _, p := range []struct{ want, is string }{
		{s.uri.Token, info.Label},
		{s.uri.Serial, info.SerialNumber},
		{s.uri.Manufacturer, info.ManufacturerID},
		{s.uri.Model, info.Model},
	} {
		if p.want != "" && p.want != strings.TrimRight(p.is, " \x00") {
			return false
		}
	}
	return s.uri.SlotID == nil || *s.uri.SlotID == slot
}

func (s *session) close() {
	if s.entered {
		_ = s.module.Logout(s.handle)
	}
	_ = s.module.CloseSession(s.handle)
	_ = s.module.Finalize()
	s.module.Destroy()
}

// logIn logs the user in, once. One try: tokens lock after a few wrong ones.
func (s *session) logIn() error {
	if s.entered || s.info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		return nil
	}
	pin, err := s.readPIN()
	if err != nil {
		return err
	}
	if err := s.module.Login(s.handle, pkcs11.CKU_USER, pin); err != nil {
		return s.loginError(err)
	}
	s.entered, s.pin = true, pin
	return nil
}

// readPIN takes the PIN of the environment, else of the file that the URI names. A token with keys of its own to type it
// wants none.
func (s *session) readPIN() (string, error) {
	if pin := os.Getenv(token.PINVariable); pin != "" {
		return pin, nil
	}
	if s.uri.PINSource == "" {
		if s.info.Flags&ckfProtectedAuthentPath != 0 {
			return "", nil
		}
		return "", &refusal{token.ExitPINNeeded, fmt.Sprintf("token %q needs its PIN: set %s, or pin-source=file:/PATH in the URI", s.uri.TokenName(), token.PINVariable)}
	}
	pin, err := token.ReadPIN(s.uri.PINSource)
	if err != nil {
		return "", fmt.Errorf("PIN of token %q: %w", s.uri.TokenName(), err)
	}
	return string(pin), nil
}

// loginError says how the token took the PIN, and what is left.
func (s *session) loginError(err error) error {
	code, ok := errors.AsType[pkcs11.Error](err)
	if !ok {
		return err
	}
	text := "the PIN is wrong"
	switch code {
	case pkcs11.CKR_PIN_INCORRECT:
	case pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_INVALID:
		text = "the PIN is of a form that the token never has"
	case pkcs11.CKR_PIN_LOCKED:
		text = "the PIN is locked; it takes the token's other PIN (PUK, SO PIN) to set a new one"
	case pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		text = "the token has no user PIN yet"
	default:
		return fmt.Errorf("token %q: logging in: %w", s.uri.TokenName(), err)
	}
	if info, err := s.module.GetTokenInfo(s.slot); err == nil {
		switch {
		case info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
			text += "; it is locked now"
		case info.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
			text += "; one more wrong one locks the token"
		case info.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0:
			text += "; few tries are left"
		}
	}
	return &refusal{token.ExitPINRefused, text}
}
