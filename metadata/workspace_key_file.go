package metadata

import "path/filepath"

// KeyFile is the file that holds the private half of a key of tufoci.yaml; false for a key that is not in a file, or held
// elsewhere. The file may not exist.
func (w *Workspace) KeyFile(name string) (path string, ok bool) {
	u, err := parseKeyURI(w.cfg.Keys[name].URI)
	if err != nil || u.file == "" {
		return "", false
	}
	if filepath.IsAbs(u.file) {
		return u.file, true
	}
	return filepath.Join(w.dir, u.file), true
}

// StateDir is the directory of the workspace that nobody else should read.
func (w *Workspace) StateDir() string { return w.path() }
