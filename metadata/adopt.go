package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Origin is a verified repository of which Adopt makes a workspace.
type Origin struct {
	// Head has every metadata file with its bytes. Of target files it has those whose bytes the workspace keeps; all of
	// them, unless its Digest says that the channel of the workspace has the rest. It is "" for a repository that comes
	// from elsewhere.
	Head
	// Pin is the version of the root that all was verified from. Nothing vouches for the roots before it, which are
	// carried for clients that start there.
	Pin int64
	// Tag is the channel that the repository was read from, if it is that of the workspace; At, when.
	Tag string
	At  time.Time
}

// Adoption is what Adopt found.
type Adoption struct {
	// Findings are what lint says of the repository as it is. It is carried so, but the next version of a role has to be
	// without its errors.
	Findings []Finding
	// Unusable are ids of keys that this program cannot use, and that tufoci.yaml does not have.
	Unusable []string
}

// Adopt makes a workspace in dir of a repository that exists. With a Digest it is rebuilt: what is published is its base,
// nothing is staged, and a publish has nothing to do. Without one the repository moves: its metadata is the base, byte for
// byte, and the first publish writes all of it to the channel of the workspace, or goes on from what has been published
// there since. A repository without consistent snapshots gets a staged root with them, since a bundle has them.
//
// tufoci.yaml gets every key of the metadata, under names that are made up; Keys attaches private keys, or names after
// files of public ones. Its periods are those that the metadata states, or at least the life that a role has left.
// Thresholds are those of the metadata: the option is refused. All or nothing, as Init; its errors, and ErrHead.
func Adopt(dir string, from *Origin, o InitOptions) (*Workspace, *Adoption, error) {
	w := newWorkspace(dir, OpenOptions{Now: o.Now, Passphrase: o.Passphrase, Env: o.Env, Opener: o.Opener})
	n := &adoption{initialisation: initialisation{w: w, o: o}, from: from, found: &Adoption{}}
	if err := n.run(); err != nil {
		return nil, nil, errors.Join(err, w.Close(), n.undo())
	}
	return w, n.found, nil
}

// adoption is one run of Adopt.
type adoption struct {
	initialisation
	from  *Origin
	head  *headState
	found *Adoption
}

func (n *adoption) run() error {
	c, err := n.prepare()
	if err != nil {
		return err
	}
	return n.write(c)
}

// prepare makes everything in memory.
func (n *adoption) prepare() (c initialContent, err error) {
	if len(n.o.Thresholds) > 0 {
		return c, fmt.Errorf("%w: the thresholds are those of the repository that is adopted", ErrInvalid)
	}
	for _, step := range []func() error{
		n.refuse, n.config, n.takeBase, n.metadataKeys, n.attachKeys, n.metadataPeriods, n.periods, n.lint,
	} {
		if err := step(); err != nil {
			return c, err
		}
	}
	c.base = n.w.base
	if c.blobs, err = n.blobs(); err != nil {
		return c, err
	}
	if c.staged, err = n.consistentRoot(); err != nil {
		return c, err
	}
	c.yaml, err = n.w.cfg.Marshal()
	return c, err
}

// takeBase makes the repository what was published last. Where it comes from elsewhere, whatever has been published in
// the channel since is taken over.
func (n *adoption) takeBase() error {
	var err error
	if n.head, err = newHeadState(&n.from.Head, nil); err != nil {
		return err
	}
	if n.from.Pin < 1 || n.from.Pin > int64(len(n.head.roots)) {
		return fmt.Errorf("%w: it lacks root v%d, from which it was verified", ErrHead, n.from.Pin)
	}
	n.w.staged = map[string]*roleFile{}
	n.w.base = &base{
		info:  BaseInfo{Digest: n.from.Digest, Tag: n.from.Tag, FetchedAt: n.from.At},
		pin:   n.from.Pin,
		adopt: n.from.Digest == "",
		roots: n.head.roots,
		roles: n.head.roles,
	}
	return nil
}

// lint looks at all roles as they are.
func (n *adoption) lint() error {
	in := LintInput{Roles: map[string][]byte{}, NoSpareKey: n.w.cfg.NoSpareKey}
	for role := range n.head.roles {
		data, err := bytesOf(n.head.role(role))
		if err != nil {
			return err
		}
		in.Roles[role] = data
	}
	root, err := bytesOf(n.head.role(tuf.ROOT))
	in.Roles[tuf.ROOT] = root
	n.found.Findings = Lint(in)
	return err
}

// blobs are the target files to keep, named by the hashes of their entries. A repository from elsewhere comes with all of
// them: the first publish sends them, and need not ask for them again.
func (n *adoption) blobs() ([]fileChange, error) {
	roles, err := n.w.baseView().targetRoles()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, role := range roles {
		f := n.head.role(role)
		if f == nil {
			continue // a hash bin that nobody has made
		}
		entries, err := fileEntries(f)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			sum := FileHash(e.Hashes)
			data := n.head.targets[TargetTitle(e.Path, sum)].Data
			if data != nil {
				if !isHash(sum) || !hasFileHash(data, sum) || int64(len(data)) != e.Length {
					return nil, fmt.Errorf("%w: target %q is not what role %q says", ErrHead, e.Path, role)
				}
				files[sum] = data
				continue
			}
			if unused, err := n.w.baseView().unused(role, e.Path); err != nil {
				return nil, err
			} else if n.from.Digest == "" && !unused {
				return nil, fmt.Errorf("%w: it lacks target %q of role %q", ErrHead, e.Path, role)
			}
		}
	}
	var changes []fileChange
	for _, sum := range slices.Sorted(maps.Keys(files)) {
		changes = append(changes, fileChange{path: n.w.path(blobsDir, sum), data: files[sum]})
	}
	return changes, nil
}

// consistentRoot is the next root with consistent snapshots, if the repository has none: file names in a bundle have
// versions and hashes, which clients ask for only under such a root.
func (n *adoption) consistentRoot() ([]*roleFile, error) {
	root, err := parseFile[tuf.RootType](n.head.role(tuf.ROOT))
	if err != nil || root.Signed.ConsistentSnapshot {
		return nil, err
	}
	e, err := n.head.role(tuf.ROOT).envelope()
	if err != nil {
		return nil, err
	}
	var signed map[string]json.RawMessage
	if err := json.Unmarshal(e.Signed, &signed); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrHead, err)
	}
	signed["consistent_snapshot"] = json.RawMessage("true")
	if e.Signed, err = json.Marshal(signed); err != nil {
		return nil, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	next := &edit{w: n.w, cfg: n.w.cfg}
	err = next.stageData(tuf.ROOT, data)
	return next.files, err
}
