//go:build cgo

package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"github.com/tufoci/tufoci/keys/token"
)

// The algorithms by which keys are made.
const (
	algorithmEd25519 = "ed25519"
	algorithmP256    = "ecdsa-p256"
	algorithmP384    = "ecdsa-p384"
	algorithmRSA3072 = "rsa-3072"
)

// answer does what is asked, with the token of the URI.
func answer(call *common.PluginArgs, stdin io.Reader) (*common.PluginResp, error) {
	switch call.MethodName {
	case common.DefaultAlgorithmMethodName:
		return &common.PluginResp{DefaultAlgorithm: &common.DefaultAlgorithmResp{DefaultAlgorithm: algorithmP256}}, nil
	case common.SupportedAlgorithmsMethodName:
		return &common.PluginResp{SupportedAlgorithms: &common.SupportedAlgorithmsResp{
			SupportedAlgorithms: []string{algorithmEd25519, algorithmP256, algorithmP384, algorithmRSA3072},
		}}, nil
	}
	uri, err := token.Parse(call.InitOptions.KeyResourceID)
	if err != nil {
		return nil, err
	}
	s, err := open(uri)
	if err != nil {
		return nil, err
	}
	defer s.close()
	switch {
	case call.MethodName == common.PublicKeyMethodName:
		public, err := s.publicKey()
		if err != nil {
			return nil, err
		}
		data, err := encodePublic(public)
		return &common.PluginResp{PublicKey: &common.PublicKeyResp{PublicKeyPEM: data}}, err
	case call.MethodName == common.CreateKeyMethodName && call.CreateKey != nil:
		public, err := s.createKey(call.CreateKey.Algorithm)
		if err != nil {
			return nil, err
		}
		data, err := encodePublic(public)
		return &common.PluginResp{CreateKey: &common.CreateKeyResp{PublicKeyPEM: data}}, err
	case call.MethodName == common.SignMessageMethodName && call.SignMessage != nil:
		m, err := readMessage(stdin, call.SignMessage.SignOptions)
		if err != nil {
			return nil, err
		}
		sig, err := s.sign(m)
		return &common.PluginResp{SignMessage: &common.SignMessageResp{Signature: sig}}, err
	}
	return nil, fmt.Errorf("method %q is not known here; verify with the public key", call.MethodName)
}

func encodePublic(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// message is what is to be signed: the bytes, or a hash of them that the caller made.
type message struct {
	data   []byte
	digest []byte // nil: to be made of data
}

func readMessage(stdin io.Reader, o *common.SignOptions) (message, error) {
	if o != nil && o.MessageOptions.Digest != nil {
		return message{digest: *o.MessageOptions.Digest}, nil
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxMessage+1))
	if err != nil {
		return message{}, err
	}
	if len(data) > maxMessage {
		return message{}, fmt.Errorf("a message of more than %d bytes", maxMessage)
	}
	return message{data: data}, nil
}

// hash is the message under a hash, which a digest that came with it must fit.
func (m message) hash(h crypto.Hash) ([]byte, error) {
	if m.digest == nil {
		sum := h.New()
		sum.Write(m.data)
		return sum.Sum(nil), nil
	}
	if len(m.digest) != h.Size() {
		return nil, fmt.Errorf("a digest of %d bytes; this key signs %s", len(m.digest), h)
	}
	return m.digest, nil
}

// whole is the message itself, for keys that sign no hash.
func (m message) whole() ([]byte, error) {
	if m.digest != nil {
		return nil, errors.New("an ed25519 key signs the message itself, not a digest of it")
	}
	return m.data, nil
}
