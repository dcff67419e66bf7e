package cli

import (
	"context"

	"github.com/tufoci/tufoci/keys"
	"github.com/tufoci/tufoci/keys/token"
	"github.com/tufoci/tufoci/metadata"
)

// openKeys opens private keys by URI, without a workspace.
func (a *app) openKeys(ctx context.Context, uris []string) ([]metadata.SigningKey, error) {
	return metadata.OpenKeys(uris, metadata.OpenKeysOptions{
		Env: a.world.LookupEnv, Passphrase: a.passphrase(ctx), Opener: a.opener,
	})
}

// newKeyOpener reaches the keys that are neither in files nor in variables, for
// as long as the command runs. A command has one, so that nobody is asked twice
// for a PIN.
func (a *app) newKeyOpener(ctx context.Context) metadata.KeyOpener {
	return keys.New(ctx, keys.Options{
		Env: func(name string) (string, bool) {
			value := a.env.get(name)
			return value, value != ""
		},
		Environ: a.world.Environ,
		Beside:  a.world.ProgramDir,
		PIN: func(of string) ([]byte, error) {
			return a.secret(ctx, "PIN of token "+of, token.PINVariable)
		},
	})
}
