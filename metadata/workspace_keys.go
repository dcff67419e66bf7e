package metadata

import (
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// publicKey finds a key by its name in tufoci.yaml. ErrKeyMissing.
func (w *Workspace) publicKey(name string) (*tuf.Key, string, error) { panic("not implemented") }

// keyInfos describes the keys of rules, and which of them have signed what is staged or published of the role.
func (w *Workspace) keyInfos(role string, rules []rule) ([]KeyInfo, error) {
	panic("not implemented")
}
