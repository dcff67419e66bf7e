package metadata

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	metadataPrefix = "metadata/"
	targetsPrefix  = "targets/"

	// maxVersion is the greatest version: the largest integer that every JSON parser keeps.
	maxVersion = 1<<53 - 1
	// maxRoleFile bounds a metadata file that is read from the workspace: 100 000 image entries have 15 MB.
	maxRoleFile = 64 << 20
)

// Members of the signed part that tell any operator how a role is to be renewed, in seconds.
const (
	fieldPeriod = "x-tufoci-expires"
	fieldRenew  = "x-tufoci-renew-within"
)

// roleFile is one metadata file whose bytes are read when they are asked for.
type roleFile struct {
	role    string
	version int64
	sum     string // hex sha256 of the bytes
	length  int64
	expires time.Time
	period  time.Duration // life that the file itself states, 0 if none
	file    string        // its name in the base, if it is there
	away    bool          // the head came without its bytes: the registry has them, and so has the base
	// read returns the bytes, which have the sum above; nil when only a registry has them.
	read func() ([]byte, error)
}

// newRoleFile describes bytes that are at hand. The role's name is the caller's.
func newRoleFile(role string, data []byte) (*roleFile, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, fmt.Errorf("role %q: %w", role, err)
	}
	if want := typeOf(role); h.Type != want {
		return nil, fmt.Errorf("role %q: %w: its type is %q, not %q", role, ErrDamaged, h.Type, want)
	}
	period, _ := statedSeconds(h.Period)
	return &roleFile{
		role: role, version: h.Version, sum: checksum(data), length: int64(len(data)),
		expires: h.Expires, period: period,
		read: func() ([]byte, error) { return data, nil },
	}, nil
}

// header is what can be known of a file without parsing all of it.
type header struct {
	Type    string          `json:"_type"`
	Version int64           `json:"version"`
	Expires time.Time       `json:"expires"`
	Period  json.RawMessage `json:"x-tufoci-expires"`
}

func readHeader(data []byte) (header, error) {
	var file struct {
		Signed header `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return header{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if h := file.Signed; h.Version < 1 || h.Version > maxVersion {
		return header{}, fmt.Errorf("%w: version %d", ErrDamaged, h.Version)
	}
	return file.Signed, nil
}

// FileVersion is the version that a metadata file states. ErrDamaged.
func FileVersion(data []byte) (int64, error) {
	h, err := readHeader(data)
	return h.Version, err
}

// typeOf is the _type of a role's file.
func typeOf(role string) string {
	if isTopLevel(role) {
		return role
	}
	return tuf.TARGETS
}

func isTopLevel(role string) bool {
	switch role {
	case tuf.ROOT, tuf.TARGETS, tuf.SNAPSHOT, tuf.TIMESTAMP:
		return true
	}
	return false
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// parse reads a metadata file. What verified can still be more than go-tuf takes: a panic is a damaged file.
func parse[T tuf.Roles](data []byte) (md *tuf.Metadata[T], err error) {
	defer func() {
		if r := recover(); r != nil {
			md, err = nil, fmt.Errorf("%w: malformed metadata", ErrDamaged)
		}
	}()
	md, err = (&tuf.Metadata[T]{}).FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return md, nil
}

// encode writes a metadata file: compact JSON, members sorted.
func encode[T tuf.Roles](md *tuf.Metadata[T]) ([]byte, error) {
	if md.Signatures == nil {
		md.Signatures = []tuf.Signature{}
	}
	return md.ToBytes(false)
}

// envelope is a metadata file with its signed part as it stands.
type envelope struct {
	Signatures []tuf.Signature `json:"signatures"`
	Signed     json.RawMessage `json:"signed"`
}

func openEnvelope(data []byte) (envelope, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return envelope{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return e, nil
}

// envelope opens the file.
func (f *roleFile) envelope() (envelope, error) {
	data, err := bytesOf(f)
	if err != nil {
		return envelope{}, err
	}
	return openEnvelope(data)
}

// payload is what the signatures are over.
func (e envelope) payload() ([]byte, error) { return cjson.EncodeCanonical(e.Signed) }

// meets reports whether the signatures reach every threshold.
func (e envelope) meets(rules []rule) (bool, error) {
	p, err := e.payload()
	if err != nil {
		return false, err
	}
	for _, r := range rules {
		if !r.met(p, e.Signatures) {
			return false, nil
		}
	}
	return len(rules) > 0, nil
}

// meets reports whether the signatures of a file reach every threshold.
func (f *roleFile) meets(rules []rule) (bool, error) {
	e, err := f.envelope()
	if err != nil {
		return false, err
	}
	return e.meets(rules)
}

// life is how long versions of a role live, and with how much of that left they are renewed.
type life struct{ period, renewWithin time.Duration }

// nextVersion makes a new version out of a metadata file: its content, without signatures.
func nextVersion(data []byte, version int64, now time.Time, l life) ([]byte, error) {
	e, err := openEnvelope(data)
	if err != nil {
		return nil, err
	}
	var signed map[string]json.RawMessage
	if err := json.Unmarshal(e.Signed, &signed); err != nil || signed == nil {
		return nil, fmt.Errorf("%w: signed part: %v", ErrDamaged, err)
	}
	for name, value := range map[string]any{
		"version":   version,
		"expires":   seconds(now.Add(l.period)),
		fieldPeriod: int64(l.period / time.Second),
		fieldRenew:  int64(l.renewWithin / time.Second),
	} {
		if signed[name], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	if e.Signed, err = json.Marshal(signed); err != nil {
		return nil, err
	}
	e.Signatures = []tuf.Signature{}
	return json.Marshal(e)
}

// content is the signed part without what every new version changes: two versions of equal content differ in
// nothing that a person has to judge.
func content(data []byte) (string, error) {
	e, err := openEnvelope(data)
	if err != nil {
		return "", err
	}
	var signed map[string]any
	dec := json.NewDecoder(bytes.NewReader(e.Signed))
	dec.UseNumber()
	if err := dec.Decode(&signed); err != nil {
		return "", fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	for _, name := range []string{"version", "expires", fieldPeriod, fieldRenew} {
		delete(signed, name)
	}
	out, err := json.Marshal(signed)
	return string(out), err
}

// fileName is the name of a role's file in base and staged: unlike in a bundle the timestamp has its version too.
func fileName(role string, version int64) string {
	return strconv.FormatInt(version, 10) + "." + url.PathEscape(role) + ".json"
}

// Title is the name of a role's file in a bundle, under consistent snapshots (TUF spec 5.6.1).
func Title(role string, version int64) string {
	if role == tuf.TIMESTAMP {
		return metadataPrefix + "timestamp.json"
	}
	return metadataPrefix + fileName(role, version)
}

// parseFileName is the inverse of fileName. It accepts nothing that fileName does not return.
func parseFileName(name string) (role string, version int64, ok bool) {
	digits, rest, ok := strings.Cut(name, ".")
	if !ok {
		return "", 0, false
	}
	version, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || version < 1 || version > maxVersion {
		return "", 0, false
	}
	escaped, ok := strings.CutSuffix(rest, ".json")
	if !ok {
		return "", 0, false
	}
	role, err = url.PathUnescape(escaped)
	if err != nil || role == "" || fileName(role, version) != name {
		return "", 0, false
	}
	return role, version, true
}

// ParseTitle takes the title of a metadata file apart; the version of a timestamp is 0. It accepts nothing that Title
// does not return.
func ParseTitle(title string) (role string, version int64, ok bool) {
	name, ok := strings.CutPrefix(title, metadataPrefix)
	if !ok {
		return "", 0, false
	}
	if name == "timestamp.json" {
		return tuf.TIMESTAMP, 0, true
	}
	role, version, ok = parseFileName(name)
	return role, version, ok && role != tuf.TIMESTAMP
}

// TargetTitle is the name of a target file in a bundle, under consistent snapshots: its path, and the hex sha256.
func TargetTitle(path, sum string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return targetsPrefix + path[:i+1] + sum + "." + path[i+1:]
	}
	return targetsPrefix + sum + "." + path
}

// seconds is a point of time as metadata states it: whole seconds, UTC.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
