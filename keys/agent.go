package keys

import (
	"context"
	"crypto"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tufoci/tufoci/metadata"
)

const (
	// agentSocket is the variable that says where the agent listens.
	agentSocket = "SSH_AUTH_SOCK"
	// maxAgentLook and maxAgentSign bound what an agent may take: to list keys, and to sign, where it may ask a person.
	maxAgentLook = 10 * time.Second
	maxAgentSign = 2 * time.Minute
	// maxListed bounds how many keys a message lists.
	maxListed = 8
)

// fingerprintRE is a fingerprint as ssh-add -l prints it.
var fingerprintRE = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// agentKey signs with a key of the ssh-agent.
type agentKey struct {
	o           *Opener
	fingerprint string
	public      *tuf.Key
}

func (o *Opener) openAgentKey(uri string, public *tuf.Key) (metadata.Signer, error) {
	k := &agentKey{o: o, fingerprint: strings.TrimPrefix(uri, agentScheme), public: public}
	if !fingerprintRE.MatchString(k.fingerprint) {
		return nil, fmt.Errorf("%w key URI %q: want ssh-agent:SHA256:FINGERPRINT, as `ssh-add -l` prints it", metadata.ErrInvalid, uri)
	}
	if public != nil {
		return k, nil
	}
	err := o.withAgent(o.ctx, maxAgentLook, func(a agent.ExtendedAgent) error {
		held, err := k.find(a)
		if err != nil {
			return err
		}
		k.public, err = publicOf(held)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *agentKey) Key() *tuf.Key { return k.public }

// Sign has the agent sign, and brings the signature into the form that TUF metadata has.
func (k *agentKey) Sign(ctx context.Context, payload []byte) (sig []byte, err error) {
	err = k.o.withAgent(ctx, maxAgentSign, func(a agent.ExtendedAgent) error {
		held, err := k.find(a)
		if err != nil {
			return err
		}
		if _, err := publicOf(held); err != nil {
			return err
		}
		signature, err := a.Sign(held, payload)
		if err != nil {
			return &PlaceError{"ssh-agent", fmt.Sprintf("it did not sign with %s: %v", k.fingerprint, err)}
		}
		sig, err = decodeSSHSignature(signature)
		return err
	})
	return sig, err
}

// decodeSSHSignature turns the signature of an SSH key (RFC 5656, RFC 8709) into that of TUF metadata.
func decodeSSHSignature(s *ssh.Signature) ([]byte, error) {
	switch s.Format {
	case ssh.KeyAlgoED25519:
		return s.Blob, nil
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384:
		var point struct{ R, S *big.Int }
		if err := ssh.Unmarshal(s.Blob, &point); err != nil {
			return nil, &PlaceError{"ssh-agent", "its ECDSA signature is damaged"}
		}
		return asn1.Marshal(point)
	}
	return nil, &PlaceError{"ssh-agent", fmt.Sprintf("it signed by %q", s.Format)}
}

// publicOf is the public half of a key of the agent, if it is of a type that can sign TUF metadata. metadata.ErrKey.
func publicOf(held *agent.Key) (*tuf.Key, error) {
	switch held.Format {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384:
	case ssh.KeyAlgoRSA:
		return nil, fmt.Errorf("%w: RSA in an ssh-agent: it signs by PKCS#1 v1.5, which no scheme of TUF metadata takes; use an ed25519 or ECDSA key", metadata.ErrKey)
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil, fmt.Errorf("%w: a FIDO key (%s) signs more than the metadata, which no TUF client verifies; use the PIV or PKCS#11 side of the device", metadata.ErrKey, held.Format)
	default:
		return nil, fmt.Errorf("%w: %q in an ssh-agent; use ed25519, or ECDSA P-256 or P-384", metadata.ErrKey, held.Format)
	}
	parsed, err := ssh.ParsePublicKey(held.Blob)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", metadata.ErrKey, err)
	}
	inner, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: %q in an ssh-agent", metadata.ErrKey, held.Format)
	}
	return metadata.PublicKey(crypto.PublicKey(inner.CryptoPublicKey()))
}

// find is the key among those that the agent holds.
func (k *agentKey) find(a agent.Agent) (*agent.Key, error) {
	held, err := a.List()
	if err != nil {
		return nil, &PlaceError{"ssh-agent", fmt.Sprintf("it does not list its keys: %v", err)}
	}
	var others []string
	for _, h := range held {
		if ssh.FingerprintSHA256(h) == k.fingerprint {
			return h, nil
		}
		if others = append(others, ssh.FingerprintSHA256(h)+" "+h.Comment); len(others) > maxListed {
			others[maxListed] = "others"
			break
		}
	}
	if len(others) == 0 {
		return nil, &PlaceError{"ssh-agent", "it holds no key, or is locked; ssh-add adds " + k.fingerprint}
	}
	return nil, &PlaceError{"ssh-agent", fmt.Sprintf("it does not hold %s; it has %s", k.fingerprint, strings.Join(others, ", "))}
}

// agentHolds reports whether the agent has the key. It is asked once.
func (o *Opener) agentHolds(uri string) bool {
	if o.held == nil {
		o.held = map[string]bool{}
		_ = o.withAgent(o.ctx, maxAgentLook, func(a agent.ExtendedAgent) error {
			held, err := a.List()
			for _, h := range held {
				o.held[ssh.FingerprintSHA256(h)] = true
			}
			return err
		})
	}
	return o.held[strings.TrimPrefix(uri, agentScheme)]
}

// withAgent connects to the agent for one conversation of bounded length.
func (o *Opener) withAgent(ctx context.Context, limit time.Duration, do func(agent.ExtendedAgent) error) error {
	socket, _ := o.o.Env(agentSocket)
	if socket == "" {
		return &PlaceError{"ssh-agent", agentSocket + " is not set: no agent is at hand"}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return &PlaceError{"ssh-agent", fmt.Sprintf("it does not answer at %s: %v", socket, err)}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err = do(agent.NewClient(conn)); err != nil && ctx.Err() != nil {
		return fmt.Errorf("ssh-agent: %w", context.Cause(ctx))
	}
	return err
}
