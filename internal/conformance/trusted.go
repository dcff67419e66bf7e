package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// show makes the metadata directory hold what the client trusts now, bytes as received,
// one file a role without its version, and no other file that ends in .json. Names of
// delegated roles are percent-escaped.
func (s *session) show() error {
	state := filepath.Join(s.command.metadataDir, ownDir, s.client.RootSHA256())
	trusted, err := trustedFiles(state)
	if err != nil {
		return err
	}
	if trusted["root.json"] == nil {
		trusted["root.json"] = s.pin
	}
	shown, err := filepath.Glob(filepath.Join(s.command.metadataDir, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range shown {
		if trusted[filepath.Base(file)] == nil {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	for name, data := range trusted {
		if err := writeChanged(filepath.Join(s.command.metadataDir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// trustedFiles reads the newest file of each role from a state directory; nothing if
// there is no state yet.
func trustedFiles(state string) (map[string][]byte, error) {
	files := map[string]string{}
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json"} {
		files[name] = filepath.Join(state, name)
	}
	roles, err := names(filepath.Join(state, "roles"))
	if err != nil {
		return nil, err
	}
	for _, name := range roles {
		files[name] = filepath.Join(state, "roles", name)
	}
	roots, err := names(filepath.Join(state, "roots"))
	if err != nil {
		return nil, err
	}
	newest := 0
	for _, name := range roots {
		number, _, _ := strings.Cut(name, ".")
		if version, err := strconv.Atoi(number); err == nil && version > newest {
			newest, files["root.json"] = version, filepath.Join(state, "roots", name)
		}
	}
	trusted := map[string][]byte{}
	for name, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		trusted[name] = data
	}
	return trusted, nil
}

// names lists the .json files of a directory; none if it does not exist.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			list = append(list, entry.Name())
		}
	}
	return list, err
}
