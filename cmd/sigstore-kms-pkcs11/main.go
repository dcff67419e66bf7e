// Command sigstore-kms-pkcs11 signs with keys in PKCS#11 tokens: hardware security modules, smart cards, SoftHSM. It is a
// plugin of Sigstore's protocol, a program of its own since it loads a C library and needs cgo; tufoci stays one static
// file. The resource is an RFC 7512 URI, and the PIN comes in TUFOCI_PKCS11_PIN or from the URI's pin-source.
//
// The exit status says what package token defines; the answer is JSON on standard output.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
)

// maxMessage bounds what is signed, in bytes: the largest file of TUF metadata that tufoci writes is far smaller.
const maxMessage = 64 << 20

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout)) }

// refusal is an error with the exit status that goes with it.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// run answers one call.
func run(args []string, stdin io.Reader, stdout io.Writer) int {
	status := 0
	answer, err := handle(args, stdin)
	if err != nil {
		answer, status = &common.PluginResp{ErrorMessage: err.Error()}, 1
		if r, ok := errors.AsType[*refusal](err); ok {
			status = r.status
		}
	}
	if err := json.NewEncoder(stdout).Encode(answer); err != nil {
		return 1
	}
	return status
}

func handle(args []string, stdin io.Reader) (*common.PluginResp, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("this is a plugin of Sigstore's protocol, which tufoci and cosign run: want its version and one JSON document as arguments")
	}
	if args[1] != common.ProtocolVersion {
		return nil, fmt.Errorf("protocol version %q; this program speaks %s", args[1], common.ProtocolVersion)
	}
	var call common.PluginArgs
	if err := json.Unmarshal([]byte(args[2]), &call); err != nil || call.InitOptions == nil || call.MethodArgs == nil {
		return nil, errors.New("the arguments are not those of the plugin protocol")
	}
	return answer(&call, stdin)
}
