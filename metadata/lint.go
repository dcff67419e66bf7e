package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Level says whether a finding stops a publish.
type Level string

// The levels of findings.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
)

// Finding is one thing that lint says about a repository.
type Finding struct {
	Level   Level
	Rule    string // short name of the rule
	Role    string // "" for the repository as a whole
	Message string
}

func (f Finding) String() string {
	if f.Role == "" {
		return fmt.Sprintf("%s (%s)", f.Message, f.Rule)
	}
	return fmt.Sprintf("%s: %s (%s)", f.Role, f.Message, f.Rule)
}

// LintError carries the findings that stopped a publish. It Is ErrLint.
type LintError struct {
	Findings []Finding
}

func (e *LintError) Error() string {
	parts := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		parts[i] = f.String()
	}
	return strings.Join(parts, "; ")
}

// Is reports that the error is an ErrLint.
func (e *LintError) Is(target error) bool { return target == ErrLint }

// LintInput is what Lint looks at.
type LintInput struct {
	// Roles are the metadata files to check, by role: all of them, or those that a release changes.
	Roles map[string][]byte
	// NoSpareKey permits a root with no more keys than its threshold.
	NoSpareKey bool
	// Files is the number of target files of the whole repository; MaxFiles bounds it, 0 does not.
	Files, MaxFiles int
}

// Sizes in bytes that other clients accept by default.
const (
	maxRootSize      = 512_000
	maxTimestampSize = 16_384
	maxSnapshotSize  = 2_000_000
	maxTargetsSize   = 5_000_000
)

// Lint finds what other clients choke on, and what weakens trust. Errors come first, then warnings, each by role.
func Lint(in LintInput) []Finding {
	l := &linter{in: in}
	if in.MaxFiles > 0 && in.Files > in.MaxFiles {
		l.error("", "files", "%d target files, at most %d are allowed in one bundle; entries of images do not count", in.Files, in.MaxFiles)
	}
	for _, role := range slices.Sorted(maps.Keys(in.Roles)) {
		l.role(role, in.Roles[role])
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int { return strings.Compare(string(a.Level), string(b.Level)) })
	return l.findings
}

// LintErrors keeps the findings that stop a publish.
func LintErrors(findings []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Level != LevelError })
}

type linter struct {
	in       LintInput
	findings []Finding
}

func (l *linter) error(role, rule, format string, args ...any) {
	l.findings = append(l.findings, Finding{LevelError, rule, role, fmt.Sprintf(format, args...)})
}

func (l *linter) warn(role, rule, format string, args ...any) {
	l.findings = append(l.findings, Finding{LevelWarning, rule, role, fmt.Sprintf(format, args...)})
}

// role checks one file: first its JSON, then what the JSON says.
func (l *linter) role(role string, data []byte) {
	if !l.json(role, data) {
		return
	}
	switch typeOf(role) {
	case tuf.ROOT:
		l.size(role, data, maxRootSize)
		lintParsed(l, role, data, l.root)
	case tuf.TIMESTAMP:
		l.size(role, data, maxTimestampSize)
		lintParsed(l, role, data, func(_ string, md *tuf.Metadata[tuf.TimestampType]) {
			l.meta(role, md.Signed.Meta, "snapshot.json")
			if len(md.Signed.Meta) > 1 {
				l.error(role, "meta", "lists more than snapshot.json, which no client looks at")
			}
		})
	case tuf.SNAPSHOT:
		l.size(role, data, maxSnapshotSize)
		lintParsed(l, role, data, func(_ string, md *tuf.Metadata[tuf.SnapshotType]) {
			l.meta(role, md.Signed.Meta, "targets.json")
		})
	default:
		l.size(role, data, maxTargetsSize)
		lintParsed(l, role, data, l.targets)
	}
}

func lintParsed[T tuf.Roles](l *linter, role string, data []byte, check func(string, *tuf.Metadata[T])) {
	md, err := parse[T](data)
	if err != nil {
		l.error(role, "json", "%v", err)
		return
	}
	check(role, md)
}

func (l *linter) size(role string, data []byte, limit int) {
	if len(data) >= limit {
		l.error(role, "size", "%d bytes; other clients take less than %d", len(data), limit)
	}
}

func (l *linter) root(role string, md *tuf.Metadata[tuf.RootType]) {
	l.keys(role, md.Signed.Keys)
	if !md.Signed.ConsistentSnapshot {
		l.error(role, "consistent-snapshot", "is without consistent snapshots: a bundle has them")
	}
	if names := slices.Sorted(maps.Keys(md.Signed.Roles)); !slices.Equal(names, slices.Sorted(slices.Values(topLevelRoles))) {
		l.error(role, "roles", "has the roles %s, not %s", strings.Join(names, ", "), strings.Join(topLevelRoles, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(md.Signed.Roles)) {
		r := md.Signed.Roles[name]
		l.threshold(role, name, r.KeyIDs, r.Threshold, md.Signed.Keys)
		if name == tuf.ROOT && len(r.KeyIDs) <= r.Threshold && !l.in.NoSpareKey {
			l.error(role, "spare-key", "root needs %d of %d keys: the loss of one key would end the repository; add a spare key, or decide for none with --no-spare-key", r.Threshold, len(r.KeyIDs))
		}
	}
}

// keys holds every key to its id (spec 4.2: the hash of its canonical form), to its scheme, and to being there once.
func (l *linter) keys(role string, keys map[string]*tuf.Key) {
	ids := slices.Sorted(maps.Keys(keys))
	for i, id := range ids {
		key := keys[id]
		if got, err := freshID(key); err != nil || got != id {
			l.error(role, "key-id", "key %s is not named by its hash; some clients refuse it", short(id))
		}
		if _, err := cryptoKey(key); err != nil {
			l.error(role, "key", "key %s: %v", short(id), err)
		}
		for _, other := range ids[:i] {
			if sameKey(key, keys[other]) {
				l.error(role, "duplicate-key", "keys %s and %s are one key: it must not count twice", short(other), short(id))
			}
		}
		if key.Scheme == tuf.KeySchemeECDSA_SHA2_P384 {
			l.warn(role, "p384", "key %s is on P-384, which tough (Bottlerocket, tuftool) does not verify", short(id))
		}
	}
}

func (l *linter) threshold(role, of string, ids []string, threshold int, keys map[string]*tuf.Key) {
	distinct := map[string]bool{}
	for _, id := range ids {
		if keys[id] == nil {
			l.error(role, "key-missing", "%s names key %s, which is not listed", of, short(id))
		}
		if distinct[id] {
			l.error(role, "duplicate-key", "%s names key %s twice", of, short(id))
		}
		distinct[id] = true
	}
	if threshold < 1 || threshold > len(distinct) {
		l.error(role, "threshold", "%s needs %d signatures and has %d keys", of, threshold, len(distinct))
	}
}

// meta wants version, length and sha256 of every file: without them clients bound a download by a guess. One file must
// be among them.
func (l *linter) meta(role string, meta map[string]*tuf.MetaFiles, must string) {
	if meta[must] == nil {
		l.error(role, "meta", "does not list %s", must)
	}
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		m := meta[name]
		if m.Length <= 0 || len(m.Hashes["sha256"]) == 0 {
			l.error(role, "meta", "%s is listed without length or sha256", name)
		}
	}
}

func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}
