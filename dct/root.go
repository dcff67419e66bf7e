package dct

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// readRoot verifies root.json from what is pinned, and by itself, and learns the name of
// the repository from the certificates of its keys.
func (rd *reader) readRoot() error {
	f, err := rd.open(roleRoot)
	if err != nil {
		return err
	}
	if err := f.read(&rd.root); err != nil {
		return err
	}
	rule := rd.root.Roles[roleRoot]
	keys, err := rd.named(keysOf(rd.root.Keys, rule))
	if err != nil {
		return err
	}
	rd.note(roleRoot, keys)
	if err := f.verify(roleRoot, keys, rule.Threshold); err != nil {
		return err
	}
	if err := rd.pinned(f, keys, rule.Threshold); err != nil {
		return err
	}
	if err := rd.current(); err != nil {
		return err
	}
	for _, k := range keys {
		if c := k.certificate; !c.NotAfter.After(rd.o.Now) {
			role := Role{Name: "certificate of root key " + k.canonical, Version: rd.r.Roles[0].Version, Expires: c.NotAfter}
			if err := rd.lapsed(&ExpiredError{rd.r.GUN, role}); err != nil {
				return err
			}
		}
	}
	return nil
}

// named are the root keys with a certificate for this repository, as Notary has it: by
// its name, or for all names that start so. What is read alone is called as its
// certificate says.
func (rd *reader) named(keys []*parsedKey) ([]*parsedKey, error) {
	if rd.r.GUN == "" {
		i := slices.IndexFunc(keys, func(k *parsedKey) bool {
			return k.certificate != nil && !strings.HasSuffix(k.certificate.Subject.CommonName, "*")
		})
		if i < 0 {
			return nil, fmt.Errorf("%w: no certificate in root.json names the repository; put it below a directory of its name, as docker does, and name the directory above", ErrFormat)
		}
		rd.r.GUN = keys[i].certificate.Subject.CommonName
	}
	of := slices.DeleteFunc(keys, func(k *parsedKey) bool {
		return k.certificate == nil || !covers(k.certificate.Subject.CommonName, rd.r.GUN)
	})
	if len(of) == 0 {
		return nil, fmt.Errorf("%w: %s: no root key has a certificate of this name", ErrRoot, rd.r.GUN)
	}
	return of, nil
}

func covers(name, gun string) bool {
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return strings.HasPrefix(gun, prefix)
	}
	return name == gun
}

// pinned holds root.json to what the caller vouches for.
func (rd *reader) pinned(f *file, keys []*parsedKey, threshold int) error {
	if len(rd.o.RootKeys) > 0 {
		ours := slices.DeleteFunc(slices.Clone(keys), func(k *parsedKey) bool { return !knows(rd.o.RootKeys, k) })
		if err := f.verify("the root keys that were named", ours, threshold); err != nil {
			return fmt.Errorf("%w: %s: %v", ErrRoot, rd.r.GUN, err)
		}
	}
	if rd.o.Root == nil || bytes.Equal(rd.o.Root, f.data) {
		return nil
	}
	old, h, err := parseFile(roleRoot, rd.o.Root)
	if err != nil {
		return err
	}
	var root signedRoot
	if err := old.read(&root); err != nil {
		return err
	}
	if version := rd.r.Roles[0].Version; h.Version >= version {
		return fmt.Errorf("%w: %s: it has root v%d; the root that was given is another one, v%d", ErrRoot, rd.r.GUN, version, h.Version)
	}
	rule := root.Roles[roleRoot]
	if err := f.verify(fmt.Sprintf("the root v%d that was given", h.Version), keysOf(root.Keys, rule), rule.Threshold); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrRoot, rd.r.GUN, err)
	}
	return nil
}
