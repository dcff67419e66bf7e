package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Changeset is staged versions of roles, apart from their workspace: with what is published of these roles and of those
// that delegate to them, which is all that is needed to see what they change and whose signatures they lack. The bytes to
// sign never change; signatures are only added. It is not safe for concurrent use.
type Changeset struct {
	roles  []string             // root first, then by name
	base   map[string]*roleFile // published: the roles themselves, root, and all delegators
	next   map[string]*roleFile
	names  map[string]string // by key id
	blobs  map[string][]byte // small target files that change, by hex sha256
	parsed parsedFiles
}

// ChangesetFiles is a Changeset as it is written down. Names are what its maker calls the keys, by key id: words for
// people, which decide nothing.
type ChangesetFiles struct {
	Base, Next []RoleData
	Names      map[string]string
	Contents   [][]byte // target files that change, where they are small and at hand
}

// RoleData is the metadata file of a role.
type RoleData struct {
	Role string
	Data []byte
}

// Bounds of the target files that go along with a changeset, in bytes: one, as many as lie in a workspace; all of them.
const (
	maxContent  = MaxKeptTarget
	maxContents = 4 << 20
)

// maxSkipped is how many versions a role may leave out: those that were published and overwritten are not used again,
// see base.next. More could be an attempt to drive the versions up to the end.
const maxSkipped = 100

// checkSignature refuses a signature that counts under no rule. ErrSignature.
func checkSignature(s tuf.Signature, rules []rule, payload []byte) error {
	key := keyIn(rules, s.KeyID)
	if key == nil {
		return fmt.Errorf("%w: no rule knows key %s", ErrSignature, short(s.KeyID))
	}
	if err := VerifySignature(key, payload, s.Signature); err != nil {
		return fmt.Errorf("%w: key %s: %w", ErrSignature, short(s.KeyID), err)
	}
	return nil
}

// keep takes a target file along, if it is small and there is room.
func (c *Changeset) keep(data []byte) {
	total := len(data)
	for _, b := range c.blobs {
		total += len(b)
	}
	if data != nil && len(data) <= maxContent && total <= maxContents {
		c.blobs[checksum(data)] = data
	}
}

// NewChangeset reads what Files has written. It takes the published files as they are: whether they are what is published
// is for the caller to see. ErrInvalid, ErrDamaged, ErrNoRole, ErrSignature.
func NewChangeset(in ChangesetFiles) (*Changeset, error) {
	c := &Changeset{
		base: map[string]*roleFile{}, next: map[string]*roleFile{}, names: map[string]string{}, blobs: map[string][]byte{},
		parsed: newParsedFiles(),
	}
	for _, list := range []struct {
		from []RoleData
		to   map[string]*roleFile
	}{{in.Base, c.base}, {in.Next, c.next}} {
		for _, d := range list.from {
			f, err := newRoleFile(d.Role, d.Data)
			if err != nil {
				return nil, err
			}
			if list.to[d.Role] != nil {
				return nil, fmt.Errorf("%w: role %q stands twice", ErrInvalid, d.Role)
			}
			list.to[d.Role] = f
		}
	}
	c.roles = slices.SortedFunc(maps.Keys(c.next), rootFirst)
	if err := c.check(); err != nil {
		return nil, err
	}
	for _, data := range in.Contents {
		c.keep(data)
	}
	return c, c.name(in.Names)
}

// rootFirst is the order of the roles of a changeset.
func rootFirst(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == tuf.ROOT:
		return -1
	case b == tuf.ROOT:
		return 1
	}
	return strings.Compare(a, b)
}

// check holds the files to each other: each role follows its published version and shows all that it says, its
// signatures count, and there is no file that no role needs.
func (c *Changeset) check() error {
	if len(c.roles) == 0 {
		return fmt.Errorf("%w: no role", ErrInvalid)
	}
	for _, role := range c.roles {
		before := int64(0)
		if f := c.base[role]; f != nil {
			before = f.version
		}
		f, last := c.next[role], before+1
		if role != tuf.ROOT {
			last += maxSkipped
		}
		if f.version <= before || f.version > last {
			return fmt.Errorf("%w: %s v%d does not follow v%d", ErrInvalid, role, f.version, before)
		}
		if err := c.checkRole(role); err != nil {
			return err
		}
	}
	above, err := c.view().above(c.roles)
	if err != nil {
		return err
	}
	for role := range c.base {
		if !slices.Contains(distinct(above, c.roles), role) {
			return fmt.Errorf("%w: role %q has nothing to do with what changes", ErrInvalid, role)
		}
	}
	return nil
}

// checkRole holds one role to what it shows, and its signatures to its rules.
func (c *Changeset) checkRole(role string) error {
	e, err := c.next[role].saysAll()
	if err != nil {
		return fmt.Errorf("%w: role %q: %v", ErrDamaged, role, err)
	}
	rules, err := c.rules(role)
	if err != nil {
		return err
	}
	payload, err := e.payload()
	if err != nil {
		return err
	}
	for _, s := range e.Signatures {
		if err := checkSignature(s, rules, payload); err != nil {
			return fmt.Errorf("role %q: %w", role, err)
		}
	}
	return nil
}

// name takes names for keys: of keys that may sign, each name once.
func (c *Changeset) name(names map[string]string) error {
	for _, id := range slices.Sorted(maps.Keys(names)) {
		if !keyNameRE.MatchString(names[id]) || slices.Contains(slices.Collect(maps.Values(c.names)), names[id]) {
			return fmt.Errorf("%w: key name %q", ErrInvalid, names[id])
		}
		key, err := c.key(id)
		if err != nil {
			return err
		}
		if key == nil {
			return fmt.Errorf("%w: a name for key %s, which may sign nothing here", ErrInvalid, short(id))
		}
		c.names[id] = names[id]
	}
	return nil
}

// distinct joins lists, each member once, in order.
func distinct(lists ...[]string) []string {
	var out []string
	for _, s := range slices.Concat(lists...) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// above lists the roles that decide who signs the roles given: root, and all that delegate to them, up to targets.
func (v *view) above(roles []string) ([]string, error) {
	out := []string{tuf.ROOT}
	queue := slices.Clone(roles)
	for len(queue) > 0 {
		role := queue[0]
		queue = queue[1:]
		if isTopLevel(role) {
			continue
		}
		edges, err := v.delegators(role)
		if err != nil {
			return nil, err
		}
		for _, d := range edges {
			if !slices.Contains(out, d.parent) {
				out = append(out, d.parent)
				queue = append(queue, d.parent)
			}
		}
	}
	return out, nil
}

// view is the repository with the changes, as far as the files go.
func (c *Changeset) view() *view {
	return c.parsed.viewOf(func(role string) *roleFile {
		if f := c.next[role]; f != nil {
			return f
		}
		return c.base[role]
	})
}

// rules are the thresholds that a role must meet.
func (c *Changeset) rules(role string) ([]rule, error) {
	return c.view().rulesAfter(role, c.base[role])
}

// Roles lists the roles: root first, then by name.
func (c *Changeset) Roles() []string { return slices.Clone(c.roles) }

// Version is the version of a role that is to be signed, 0 for a role that is not in the changeset; published is the one
// before, 0 for none.
func (c *Changeset) Version(role string) (staged, published int64) {
	if f := c.next[role]; f != nil {
		staged = f.version
	}
	if f := c.base[role]; f != nil {
		published = f.version
	}
	return staged, published
}

// Base lists what was published when the changeset was made, of the roles that matter to it.
func (c *Changeset) Base() ([]RoleData, error) {
	var out []RoleData
	for _, role := range slices.SortedFunc(maps.Keys(c.base), rootFirst) {
		data, err := bytesOf(c.base[role])
		if err != nil {
			return nil, err
		}
		out = append(out, RoleData{role, data})
	}
	return out, nil
}

// Files takes the changeset apart, to be written down.
func (c *Changeset) Files() (ChangesetFiles, error) {
	base, err := c.Base()
	if err != nil {
		return ChangesetFiles{}, err
	}
	out := ChangesetFiles{Base: base, Names: maps.Clone(c.names)}
	for _, role := range c.roles {
		data, err := bytesOf(c.next[role])
		if err != nil {
			return ChangesetFiles{}, err
		}
		out.Next = append(out.Next, RoleData{role, data})
	}
	for _, sum := range slices.Sorted(maps.Keys(c.blobs)) {
		out.Contents = append(out.Contents, c.blobs[sum])
	}
	return out, nil
}

// Diff says what the roles change, as Workspace.Diff does.
func (c *Changeset) Diff() ([]RoleDiff, error) {
	name := keyNames(c.keyName)
	out := make([]RoleDiff, 0, len(c.roles))
	for _, role := range c.roles {
		staged, published := c.Version(role)
		changes, err := name.changes(c.base[role], c.next[role])
		if err != nil {
			return nil, err
		}
		out = append(out, RoleDiff{Role: role, BaseVersion: published, StagedVersion: staged, Changes: changes})
	}
	return out, nil
}

// Contents returns the bytes of a target that changes, as Workspace.Contents does.
func (c *Changeset) Contents(change Change) (old, next []byte, err error) {
	return contentsOf(change, func(n entry) ([]byte, error) { return c.blobs[n.Hashes["sha256"]], nil })
}

// keyName is the name of a key, "" if it has none.
func (c *Changeset) keyName(key *tuf.Key) string {
	for _, id := range slices.Sorted(maps.Keys(c.names)) {
		if known, err := c.key(id); err == nil && known != nil && sameKey(known, key) {
			return c.names[id]
		}
	}
	return ""
}

// key finds a key by its id in the rules of any role; nil if there is none.
func (c *Changeset) key(id string) (*tuf.Key, error) {
	for _, role := range c.roles {
		rules, err := c.rules(role)
		if err != nil {
			return nil, err
		}
		if key := keyIn(rules, id); key != nil {
			return key, nil
		}
	}
	return nil, nil
}

// keyInfo describes a key.
func (c *Changeset) keyInfo(id string, key *tuf.Key, signed bool) KeyInfo {
	info := anonymous(id, key, signed)
	info.Name = c.keyName(key)
	return info
}
