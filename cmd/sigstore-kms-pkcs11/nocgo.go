//go:build !cgo

package main

import (
	"errors"
	"io"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
)

func answer(*common.PluginArgs, io.Reader) (*common.PluginResp, error) {
	return nil, errors.New("this build of sigstore-kms-pkcs11 has no cgo and can load no PKCS#11 module; build it with CGO_ENABLED=1 and a C compiler")
}
