package cli

import (
	"context"

	"github.com/tufoci/tufoci/metadata"
)

// openKeys opens private keys by URI, without a workspace.
func (a *app) openKeys(ctx context.Context, uris []string) ([]metadata.SigningKey, error) {
	return metadata.OpenKeys(uris, metadata.OpenKeysOptions{Env: a.world.LookupEnv, Passphrase: a.passphrase(ctx)})
}
