package keys

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/keys/token"
	"github.com/tufoci/tufoci/metadata"
)

const (
	// maxPluginTime bounds one call of a plugin, which may wait for a person to touch a device.
	maxPluginTime = 5 * time.Minute
	// maxLookTime bounds a look at a token.
	maxLookTime = 10 * time.Second
	// pluginGrace is how long what a killed plugin has started may keep its output open.
	pluginGrace = 2 * time.Second
	// maxAnswer bounds the answer of a plugin, in bytes: a signature or a public key, in JSON.
	maxAnswer = 64 << 10
	// maxDiagnostics bounds what is kept of a plugin's standard error, in bytes.
	maxDiagnostics = 2 << 10
)

// pluginKey signs with a key behind a plugin program.
type pluginKey struct {
	o        *Opener
	program  string     // sigstore-kms-NAME
	resource string     // what the program calls the key
	token    *token.URI // nil for all programs but that of PKCS#11
	public   *tuf.Key
}

// newPluginKey reads a URI. No program is run. metadata.ErrInvalid.
func (o *Opener) newPluginKey(uri string) (*pluginKey, error) {
	if strings.HasPrefix(uri, pkcs11Scheme) {
		t, err := token.Parse(uri)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", metadata.ErrInvalid, err)
		}
		return &pluginKey{o: o, program: programPrefix + "pkcs11", resource: token.WithoutPIN(uri), token: t}, nil
	}
	name, resource, ok := strings.Cut(uri, "://")
	if !ok || name == "" || strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("%w key URI %q: want NAME://RESOURCE", metadata.ErrInvalid, uri)
	}
	return &pluginKey{o: o, program: programPrefix + name, resource: resource}, nil
}

func (k *pluginKey) Key() *tuf.Key { return k.public }

// place names for people where the key is.
func (k *pluginKey) place() string {
	if k.token != nil {
		return "token " + k.token.TokenName()
	}
	return "plugin " + k.program
}

// Sign hands the payload itself to the plugin, by its standard input: some keys sign it and no hash of it.
func (k *pluginKey) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	hash := hashOf(k.public)
	answer, err := k.call(ctx, request{
		MethodArgs: &common.MethodArgs{MethodName: common.SignMessageMethodName, SignMessage: &common.SignMessageArgs{
			SignOptions: &common.SignOptions{MessageOptions: common.MessageOptions{HashFunc: &hash}},
		}},
		hash: hash, message: payload,
	})
	if err != nil {
		return nil, err
	}
	if answer.SignMessage == nil || len(answer.SignMessage.Signature) == 0 {
		return nil, &PlaceError{k.place(), "it answered without a signature"}
	}
	return answer.SignMessage.Signature, nil
}

// hashOf is the hash with which a key signs TUF metadata; 0 for a key that signs the message itself.
func hashOf(key *tuf.Key) crypto.Hash {
	switch key.Scheme {
	case tuf.KeySchemeEd25519:
		return 0
	case tuf.KeySchemeECDSA_SHA2_P384:
		return crypto.SHA384
	}
	return crypto.SHA256
}

// askPublic asks the plugin for the public half of the key.
func (k *pluginKey) askPublic(ctx context.Context) (*tuf.Key, error) {
	answer, err := k.call(ctx, publicKeyRequest())
	if err != nil {
		return nil, err
	}
	return k.publicFrom(answer)
}

func publicKeyRequest() request {
	return request{
		MethodArgs: &common.MethodArgs{MethodName: common.PublicKeyMethodName, PublicKey: &common.PublicKeyArgs{PublicKeyOptions: &common.PublicKeyOptions{}}},
		hash:       crypto.SHA256,
	}
}

func (k *pluginKey) publicFrom(answer *common.PluginResp) (*tuf.Key, error) {
	var pem []byte
	switch {
	case answer.PublicKey != nil:
		pem = answer.PublicKey.PublicKeyPEM
	case answer.CreateKey != nil:
		pem = answer.CreateKey.PublicKeyPEM
	default:
		return nil, &PlaceError{k.place(), "it answered without a public key"}
	}
	public, err := metadata.ParsePublicKey(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.place(), err)
	}
	return public, nil
}

// algorithms are the names that services have for a type of key. The first that a plugin supports is taken.
var algorithms = map[metadata.KeyType][]string{
	metadata.KeyEd25519:   {"ed25519", "ED25519", "ec-sign-ed25519"},
	metadata.KeyECDSAP256: {"ecdsa-p256", "ecdsa-p256-sha256", "ECC_NIST_P256", "ES256", "ecdsa-sha2-256-nistp256"},
	metadata.KeyECDSAP384: {"ecdsa-p384", "ecdsa-p384-sha384", "ECC_NIST_P384", "ES384", "ecdsa-sha2-384-nistp384"},
	metadata.KeyRSA3072:   {"rsa-3072", "rsa-pss-3072-sha256", "rsa-sign-pss-3072-sha256", "RSA_3072", "PS256"},
}

// create has the plugin make the key.
func (k *pluginKey) create(ctx context.Context, t metadata.KeyType) (*tuf.Key, error) {
	if t == "" {
		t = metadata.KeyEd25519
	}
	answer, err := k.call(ctx, request{
		MethodArgs: &common.MethodArgs{MethodName: common.SupportedAlgorithmsMethodName, SupportedAlgorithms: &common.SupportedAlgorithmsArgs{}},
		hash:       crypto.SHA256,
	})
	if err != nil {
		return nil, err
	}
	var supported []string
	if answer.SupportedAlgorithms != nil {
		supported = answer.SupportedAlgorithms.SupportedAlgorithms
	}
	i := slices.IndexFunc(algorithms[t], func(name string) bool { return slices.Contains(supported, name) })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s makes no key of type %s; it makes %s", metadata.ErrInvalid, k.place(), t, strings.Join(supported[:min(len(supported), maxListed)], ", "))
	}
	arguments := &common.CreateKeyArgs{Algorithm: algorithms[t][i]}
	if deadline, ok := ctx.Deadline(); ok {
		arguments.CtxDeadline = &deadline
	}
	answer, err = k.call(ctx, request{
		MethodArgs: &common.MethodArgs{MethodName: common.CreateKeyMethodName, CreateKey: arguments}, hash: crypto.SHA256,
	})
	if err != nil {
		return nil, err
	}
	return k.publicFrom(answer)
}

// isThere looks for the key without anybody noticing: a service would be asked over the network, so only its program is
// looked for; a token is asked without its PIN.
func (k *pluginKey) isThere(ctx context.Context, public *tuf.Key) bool {
	if k.token == nil {
		_, err := k.o.find(k.program)
		return err == nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxLookTime)
	defer cancel()
	answer, err := k.run(ctx, publicKeyRequest(), nil)
	if failed, ok := errors.AsType[*pluginError](err); ok {
		return failed.status == token.ExitPINNeeded
	}
	if err != nil {
		return false
	}
	there, err := k.publicFrom(answer)
	return err == nil && (public == nil || there.Value.PublicKey == public.Value.PublicKey)
}

// call runs the plugin, with the PIN of its token where it needs one.
func (k *pluginKey) call(ctx context.Context, r request) (*common.PluginResp, error) {
	if k.token != nil {
		return k.callToken(ctx, r)
	}
	answer, err := k.run(ctx, r, nil)
	if failed, ok := errors.AsType[*pluginError](err); ok {
		return nil, &PlaceError{k.place(), failed.Error()}
	}
	return answer, err
}

// request is one call of a plugin.
type request struct {
	*common.MethodArgs
	hash    crypto.Hash
	message []byte
}

// pluginError is what a plugin says that went wrong.
type pluginError struct {
	message, diagnostics string
	status               int
}

func (e *pluginError) Error() string {
	if e.diagnostics == "" {
		return e.message
	}
	return e.message + " (" + e.diagnostics + ")"
}

// run runs the plugin program once. *pluginError for what it answers, *PlaceError if it does not.
func (k *pluginKey) run(ctx context.Context, r request, pin []byte) (*common.PluginResp, error) {
	file, err := k.o.find(k.program)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxPluginTime)
	defer cancel()
	deadline, _ := ctx.Deadline()
	arguments, err := json.Marshal(common.PluginArgs{
		InitOptions: &common.InitOptions{
			CtxDeadline: &deadline, ProtocolVersion: common.ProtocolVersion, KeyResourceID: k.resource, HashFunc: r.hash,
			RPCOptions: &common.RPCOptions{CtxDeadline: &deadline},
		},
		MethodArgs: r.MethodArgs,
	})
	if err != nil {
		return nil, err
	}
	answer, diagnostics := &bounded{max: maxAnswer}, &bounded{max: maxDiagnostics, drop: true}
	command := exec.CommandContext(ctx, file, common.ProtocolVersion, string(arguments))
	command.Env = k.o.pluginEnv(pin)
	command.Stdin = bytes.NewReader(r.message)
	command.Stdout, command.Stderr = answer, diagnostics
	command.WaitDelay = pluginGrace
	return k.read(ctx, command.Run(), command, answer, diagnostics)
}

// read understands what a plugin left behind. A plugin may end with any status; an answer counts.
func (k *pluginKey) read(ctx context.Context, err error, command *exec.Cmd, answer, diagnostics *bounded) (*common.PluginResp, error) {
	said := strings.TrimSpace(string(diagnostics.data))
	fail := func(reason string) error {
		if said != "" {
			reason += " (" + said + ")"
		}
		return &PlaceError{"plugin " + k.program, reason}
	}
	exited := command.ProcessState != nil && command.ProcessState.Exited()
	switch {
	case answer.full:
		return nil, fail(fmt.Sprintf("it answered with more than %d bytes", maxAnswer))
	case ctx.Err() != nil:
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return nil, fail("it gave no answer in time")
		}
		return nil, fmt.Errorf("plugin %s: %w", k.program, context.Cause(ctx))
	case err != nil && !exited:
		return nil, fail(fmt.Sprintf("it did not run to its end: %v", err))
	}
	var response common.PluginResp
	if err := json.Unmarshal(answer.data, &response); err != nil {
		return nil, fail(fmt.Sprintf("it ended with status %d and no answer in the plugin protocol", command.ProcessState.ExitCode()))
	}
	if response.ErrorMessage != "" {
		message := response.ErrorMessage
		if len(message) > maxDiagnostics {
			message = message[:maxDiagnostics]
		}
		return nil, &pluginError{message: message, diagnostics: said, status: command.ProcessState.ExitCode()}
	}
	return &response, nil
}

// bounded keeps what is written, up to max bytes. More is an error to the writer; with drop it is dropped. It embeds no
// buffer, whose ReadFrom would have no bound.
type bounded struct {
	data []byte
	max  int
	drop bool
	full bool
}

var errFull = errors.New("more than is read")

func (b *bounded) Write(p []byte) (int, error) {
	keep := p[:min(len(p), b.max-len(b.data))]
	b.data = append(b.data, keep...)
	if len(keep) < len(p) {
		b.full = true
		if !b.drop {
			return len(keep), errFull
		}
	}
	return len(p), nil
}
