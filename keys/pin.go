package keys

import (
	"context"
	"errors"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"github.com/tufoci/tufoci/keys/token"
	"github.com/tufoci/tufoci/metadata"
)

// PINError says that a token was not given a PIN, or refused it. It Is metadata.ErrKeyMissing.
type PINError struct {
	Token  string
	Reason string
}

func (e *PINError) Error() string { return "PIN of token " + e.Token + ": " + e.Reason }

// Is reports that the error is a metadata.ErrKeyMissing.
func (e *PINError) Is(target error) bool { return target == metadata.ErrKeyMissing }

// tokenPIN is what is known of the PIN of one token.
type tokenPIN struct {
	pin     []byte // nil: not known yet
	refused error  // a PIN that was refused is not tried again: tokens lock after a few tries
}

// callToken runs the plugin for a key of a token: with the PIN that is known; if a PIN is needed and none is known, with
// the one that a person gives.
func (k *pluginKey) callToken(ctx context.Context, r request) (*common.PluginResp, error) {
	k.o.mu.Lock()
	defer k.o.mu.Unlock()
	id := k.token.Module + " " + k.token.TokenName()
	known := k.o.pins[id]
	if known == nil {
		pin, err := k.givenPIN()
		if err != nil {
			return nil, err
		}
		known = &tokenPIN{pin: pin}
		k.o.pins[id] = known
	}
	if known.refused != nil {
		return nil, known.refused
	}
	answer, err := k.run(ctx, r, known.pin)
	if needsPIN(err) && known.pin == nil {
		if known.pin, err = k.askPIN(); err != nil {
			return nil, err
		}
		answer, err = k.run(ctx, r, known.pin)
	}
	failed, ok := errors.AsType[*pluginError](err)
	switch {
	case !ok:
		return answer, err
	case failed.status == token.ExitPINRefused || failed.status == token.ExitPINNeeded:
		known.refused = &PINError{k.token.TokenName(), failed.Error()}
		return nil, known.refused
	}
	return nil, &PlaceError{k.place(), failed.Error()}
}

func needsPIN(err error) bool {
	failed, ok := errors.AsType[*pluginError](err)
	return ok && failed.status == token.ExitPINNeeded
}

// givenPIN is the PIN of the environment, or of the file that the URI names; nil if there is none.
func (k *pluginKey) givenPIN() ([]byte, error) {
	if pin, ok := k.o.o.Env(token.PINVariable); ok && pin != "" {
		return []byte(pin), nil
	}
	if k.token.PINSource == "" {
		return nil, nil
	}
	pin, err := token.ReadPIN(k.token.PINSource)
	if err != nil {
		return nil, &PINError{k.token.TokenName(), err.Error()}
	}
	return pin, nil
}

func (k *pluginKey) askPIN() ([]byte, error) {
	if k.o.o.PIN == nil {
		return nil, &PINError{k.token.TokenName(), "it is needed, and nobody can be asked"}
	}
	pin, err := k.o.o.PIN(k.token.TokenName())
	if err != nil {
		return nil, err
	}
	return pin, nil
}
