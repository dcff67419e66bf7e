package cli

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/keys/token"
)

// The environment variables that tufoci reads, and no others. Nothing that
// pins, maps, loosens, forces, confirms or moves the clock is among them.
const (
	envWorkspace      = "TUFOCI_WORKSPACE"
	envConfig         = "TUFOCI_CONFIG"
	envStateDir       = "TUFOCI_STATE_DIR"
	envCacheDir       = "TUFOCI_CACHE_DIR"
	envFormat         = "TUFOCI_FORMAT"
	envTimeout        = "TUFOCI_TIMEOUT"
	envNoTTY          = "TUFOCI_NO_TTY"
	envDebug          = "TUFOCI_DEBUG"
	envUsername       = "TUFOCI_USERNAME"
	envPassword       = "TUFOCI_PASSWORD"
	envIdentityToken  = "TUFOCI_IDENTITY_TOKEN"
	envRegistryConfig = "TUFOCI_REGISTRY_CONFIG"
	envCAFile         = "TUFOCI_CA_FILE"
	envPassphrase     = "TUFOCI_PASSPHRASE" // and TUFOCI_PASSPHRASE_<KEYNAME>
	envPIN            = token.PINVariable   // of PKCS#11 tokens

	envConfigHome   = "XDG_CONFIG_HOME"
	envStateHome    = "XDG_STATE_HOME"
	envCacheHome    = "XDG_CACHE_HOME"
	envHome         = "HOME"
	envDockerConfig = "DOCKER_CONFIG"
	envCI           = "CI"
	envAgent        = "SSH_AUTH_SOCK" // where the ssh-agent of ssh-agent: keys listens
)

var allowedEnv = []string{
	envWorkspace, envConfig, envStateDir, envCacheDir, envFormat, envTimeout, envNoTTY, envDebug,
	envUsername, envPassword, envIdentityToken, envRegistryConfig, envCAFile, envPassphrase, envPIN,
	envConfigHome, envStateHome, envCacheHome, envHome, envDockerConfig, envCI, envAgent,
}

// environment reads variables of the allow-list.
type environment struct {
	lookup func(string) (string, bool)
}

// get is the value of an allowed variable, "" when it is unset, empty or not
// allowed.
func (e environment) get(name string) string {
	if !slices.Contains(allowedEnv, name) && !strings.HasPrefix(name, envPassphrase+"_") {
		return ""
	}
	v, ok := e.lookup(name)
	if !ok {
		return ""
	}
	return v
}

// isTrue reads a switch: anything but unset, empty, 0 and false is on.
func (e environment) isTrue(name string) bool {
	switch strings.ToLower(e.get(name)) {
	case "", "0", "false", "no":
		return false
	}
	return true
}

// passphraseVariable is the variable that holds the passphrase of one key.
func passphraseVariable(key string) string {
	return envPassphrase + "_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(key))
}

// base is a directory of the XDG base directory specification with our name
// appended: $<variable>/tufoci, or $HOME/<fallback>/tufoci. Relative values are
// ignored, as the specification demands. "" when there is no home either.
func (e environment) base(variable, fallback string) string {
	return e.baseOf("tufoci", variable, fallback)
}

// baseOf is base for another program.
func (e environment) baseOf(program, variable, fallback string) string {
	if dir := e.get(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, program)
	}
	if home := e.get(envHome); filepath.IsAbs(home) {
		return filepath.Join(home, filepath.FromSlash(fallback), program)
	}
	return ""
}
