package metadata

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	maxEntryLine = 1 << 20
	maxEntries   = 1_000_000
	maxCustom    = 64 << 10
)

// AddTargetEntries stages images/ entries from JSON lines of path, length, hashes and custom, taken as given. All or
// nothing. ErrInvalid, ErrNoRole, ErrNotDelegated.
func (w *Workspace) AddTargetEntries(r io.Reader, o TargetOptions) ([]Target, error) {
	if len(o.Custom) > 0 {
		return nil, fmt.Errorf("%w: entries of a list have a custom object of their own", ErrInvalid)
	}
	entries, err := readEntries(r)
	if err != nil {
		return nil, err
	}
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	added, err := e.addEntries(entries, o.Role)
	if err != nil {
		return nil, err
	}
	return added, e.commit()
}

func readEntries(r io.Reader) ([]entry, error) {
	var entries []entry
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEntryLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if len(entries) == maxEntries {
			return nil, fmt.Errorf("%w: more than %d entries", ErrInvalid, maxEntries)
		}
		var one entry
		if err := decodeStrict(line, &one); err != nil {
			return nil, fmt.Errorf("%w: line %d: %v", ErrInvalid, n, err)
		}
		if err := checkImagePath(one.Path, one.Hashes["sha256"]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries = append(entries, one)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: reading entries: %v", ErrInvalid, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: no entries", ErrInvalid)
	}
	return entries, nil
}

// decodeStrict reads exactly one JSON value without members that are not known.
func decodeStrict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// canonicalCustom is a custom object with sorted members. Floats and integers beyond 2^53 would break signatures:
// clients re-encode what they verify.
func canonicalCustom(data json.RawMessage) (json.RawMessage, error) {
	if len(data) > maxCustom {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(data), maxCustom)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	if object == nil {
		return nil, errors.New("want an object")
	}
	if err := checkNumbers(object); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

func checkNumbers(value any) error {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil || math.Abs(float64(n)) > maxVersion || strings.HasPrefix(v.String(), "-0") {
			return fmt.Errorf("number %s: want a whole number of at most 2^53-1", v)
		}
	case []any:
		for _, member := range v {
			if err := checkNumbers(member); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, member := range v {
			if err := checkNumbers(member); err != nil {
				return err
			}
		}
	}
	return nil
}

// TargetFilter selects entries; the zero value selects all.
type TargetFilter struct {
	Role   string // a role, or "bins" for all hash bins
	Staged bool   // only entries that are new or changed
}

// Targets lists entries sorted by role and path. ErrNoRole.
func (w *Workspace) Targets(f TargetFilter) ([]Target, error) {
	v, old := w.view(), w.baseView()
	roles, err := w.targetRoles(v, f)
	if err != nil {
		return nil, err
	}
	var out []Target
	for _, role := range roles {
		md, err := v.targets(role)
		if err != nil {
			return nil, err
		}
		if md == nil {
			continue
		}
		published, err := old.entries(role)
		if err != nil {
			return nil, err
		}
		for path, t := range md.Signed.Targets {
			target := newTarget(role, path, t)
			target.Staged = w.staged[role] != nil && !equalTargets(published[path], t)
			if target.Staged || !f.Staged {
				out = append(out, target)
			}
		}
	}
	sortTargets(out)
	return out, nil
}

func sortTargets(targets []Target) {
	slices.SortFunc(targets, func(a, b Target) int {
		if c := strings.Compare(a.Role, b.Role); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
}

// targetRoles lists the roles that a filter selects: hash bins are opened only if they are asked for or if nothing
// narrows the list.
func (w *Workspace) targetRoles(v *view, f TargetFilter) ([]string, error) {
	if f.Role != "" && f.Role != binsRole {
		if _, err := v.rules(f.Role); err != nil {
			return nil, err
		}
		return []string{f.Role}, nil
	}
	all, err := v.targetRoles()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(role string) bool {
		_, isBin, _ := v.binParent(role)
		return f.Role == binsRole && !isBin || f.Staged && w.staged[role] == nil
	}), nil
}

// targetRoles lists every role that can have entries, hash bins included, in the order of the walk.
func (v *view) targetRoles() ([]string, error) {
	edges, err := v.edges()
	if err != nil {
		return nil, err
	}
	roles := []string{tuf.TARGETS}
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			roles = append(roles, name)
		}
	}
	for _, d := range edges {
		if d.role != nil {
			add(d.role.Name)
			continue
		}
		for _, bin := range d.succinct.GetRoles() {
			add(bin)
		}
	}
	return roles, nil
}

// entries returns the entries of a role; none if it has no file.
func (v *view) entries(role string) (map[string]*tuf.TargetFiles, error) {
	md, err := v.targets(role)
	if err != nil || md == nil {
		return nil, err
	}
	return md.Signed.Targets, nil
}

func equalTargets(a, b *tuf.TargetFiles) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
