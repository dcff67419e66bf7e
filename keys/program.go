package keys

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/keys/token"
)

const (
	// programPrefix starts the names of plugin programs.
	programPrefix = "sigstore-kms-"
	// ownVariables start the names of variables that are for tufoci itself, some of them secrets: no plugin gets them.
	ownVariables = "TUFOCI_"
)

// find looks for a plugin program: in the absolute directories of PATH, then beside the running program. Relative ones
// would run what lies in the working directory.
func (o *Opener) find(program string) (string, error) {
	dirs := filepath.SplitList(o.environ("PATH"))
	if o.o.Beside != "" {
		dirs = append(dirs, o.o.Beside)
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &PlaceError{"plugin " + program, "no such program on PATH or beside tufoci"}
}

// environ is a variable of the environment of plugins.
func (o *Opener) environ(name string) string {
	for _, variable := range slices.Backward(o.o.Environ) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// pluginEnv is the environment of a plugin program: what its service needs, nothing of tufoci's, and the PIN if there is
// one.
func (o *Opener) pluginEnv(pin []byte) []string {
	env := slices.DeleteFunc(slices.Clone(o.o.Environ), func(variable string) bool { return strings.HasPrefix(variable, ownVariables) })
	if pin != nil {
		env = append(env, token.PINVariable+"="+string(pin))
	}
	if env == nil {
		return []string{} // nil would be the environment of this process
	}
	return env
}
