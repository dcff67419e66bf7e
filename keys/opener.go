package keys

import (
	"context"
	"fmt"
	"strings"
	"sync"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/metadata"
)

const (
	agentScheme  = "ssh-agent:"
	pkcs11Scheme = "pkcs11:"
)

// Options are the surroundings of an Opener. The zero value reaches nothing.
type Options struct {
	// Env reads an environment variable: SSH_AUTH_SOCK and TUFOCI_PKCS11_PIN are asked for.
	Env func(name string) (value string, ok bool)
	// Environ is what plugin programs get as their environment, in the form of os.Environ, less all that starts with
	// TUFOCI_. Its PATH is where they are looked for.
	Environ []string
	// Beside is a directory in which programs are looked for that PATH does not have; "" is none.
	Beside string
	// PIN asks for the PIN of a token, at most once for each token. Nil: nobody can be asked.
	PIN func(token string) ([]byte, error)
}

// Opener opens keys. It is safe for concurrent use.
type Opener struct {
	// ctx bounds the opening of a key, which has no context of its own, just as asking for a passphrase has none.
	ctx context.Context
	o   Options

	mu   sync.Mutex
	has  map[string]bool      // by URI
	held map[string]bool      // fingerprints of the agent's keys; nil: not asked yet
	pins map[string]*tokenPIN // by token
}

var _ metadata.KeyOpener = (*Opener)(nil)

// New makes an Opener for one command, or one long run, that ends with ctx.
func New(ctx context.Context, o Options) *Opener {
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	return &Opener{ctx: ctx, o: o, has: map[string]bool{}, pins: map[string]*tokenPIN{}}
}

// OpenKey implements metadata.KeyOpener.
func (o *Opener) OpenKey(_, uri string, public *tuf.Key) (metadata.Signer, error) {
	if strings.HasPrefix(uri, agentScheme) {
		return o.openAgentKey(uri, public)
	}
	k, err := o.newPluginKey(uri)
	if err != nil {
		return nil, err
	}
	if k.public = public; public == nil {
		if k.public, err = k.askPublic(o.ctx); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// HasKey implements metadata.KeyOpener: whether the agent holds the key, the token is there, the plugin program is there.
// Each URI is looked at once.
func (o *Opener) HasKey(uri string, public *tuf.Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if has, known := o.has[uri]; known {
		return has
	}
	has := false
	if strings.HasPrefix(uri, agentScheme) {
		has = o.agentHolds(uri)
	} else if k, err := o.newPluginKey(uri); err == nil {
		has = k.isThere(o.ctx, public)
	}
	o.has[uri] = has
	return has
}

// CreateKey implements metadata.KeyOpener. An ssh-agent makes no keys.
func (o *Opener) CreateKey(_, uri string, t metadata.KeyType) (*tuf.Key, error) {
	if strings.HasPrefix(uri, agentScheme) {
		return nil, fmt.Errorf("%w: an ssh-agent makes no keys; make one with ssh-keygen, ssh-add it, then `tufoci key add NAME --uri ssh-agent:SHA256:...`", metadata.ErrInvalid)
	}
	k, err := o.newPluginKey(uri)
	if err != nil {
		return nil, err
	}
	return k.create(o.ctx, t)
}

// PlaceError says why a key cannot be used where it should be. It Is metadata.ErrKeyMissing.
type PlaceError struct {
	Place  string // "ssh-agent", "token acme", "plugin sigstore-kms-acmekms"
	Reason string
}

func (e *PlaceError) Error() string { return e.Place + ": " + e.Reason }

// Is reports that the error is a metadata.ErrKeyMissing.
func (e *PlaceError) Is(target error) bool { return target == metadata.ErrKeyMissing }
