package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// PayloadInfo is what the bytes to sign of a role say of themselves. The name of a delegated role is not among them: it
// stands where the role is delegated.
type PayloadInfo struct {
	Type    string // root, targets (also of delegated roles), snapshot, timestamp
	Version int64
	Expires time.Time
	SHA256  string // hex, of the bytes
}

// ReadPayload reads the bytes to sign of a role: the canonical form of its signed part (TUF spec 4.2.1). Whoever signs
// them need not know the repository, but must not be made to sign anything else. ErrPayload.
func ReadPayload(payload []byte) (PayloadInfo, error) {
	if int64(len(payload)) > maxRoleFile {
		return PayloadInfo{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrPayload, len(payload), maxRoleFile)
	}
	file := fileOf(payload)
	h, err := readHeader(file)
	if err != nil {
		return PayloadInfo{}, notPayload(err)
	}
	f, err := newRoleFile(h.Type, file)
	if err != nil {
		return PayloadInfo{}, notPayload(err)
	}
	e, err := f.saysAll()
	if err != nil {
		return PayloadInfo{}, notPayload(err)
	}
	if again, err := e.payload(); err != nil || !bytes.Equal(again, payload) {
		return PayloadInfo{}, fmt.Errorf("%w: it is not how the same metadata is written to be signed", ErrPayload)
	}
	return PayloadInfo{Type: h.Type, Version: h.Version, Expires: h.Expires, SHA256: checksum(payload)}, nil
}

// notPayload says why bytes are not those to sign. They are in no workspace that could be damaged.
func notPayload(err error) error {
	return fmt.Errorf("%w: %s", ErrPayload, strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": "))
}

// fileOf makes a metadata file without signatures of the bytes to sign. Their canonical form is not quite JSON: strings
// hold control characters, such as the line ends of PEM, as they are.
func fileOf(payload []byte) []byte {
	out := []byte(`{"signatures":[],"signed":`)
	inString, escaped := false, false
	for _, b := range payload {
		if inString && b < ' ' {
			out = fmt.Appendf(out, `\u%04x`, b)
			continue
		}
		switch {
		case escaped:
			escaped = false
		case b == '\\':
			escaped = inString
		case b == '"':
			inString = !inString
		}
		out = append(out, b)
	}
	return append(out, '}')
}

// saysAll opens a file, and refuses one of which a part would be overlooked: all that is signed must be in what is
// parsed, since that is what people are shown.
func (f *roleFile) saysAll() (envelope, error) {
	data, err := bytesOf(f)
	if err != nil {
		return envelope{}, err
	}
	if err := checkTokens(data); err != nil {
		return envelope{}, err
	}
	e, err := openEnvelope(data)
	if err != nil {
		return envelope{}, err
	}
	var parsed []byte
	switch typeOf(f.role) {
	case tuf.ROOT:
		parsed, err = signedPart[tuf.RootType](data)
	case tuf.TIMESTAMP:
		parsed, err = signedPart[tuf.TimestampType](data)
	case tuf.SNAPSHOT:
		parsed, err = signedPart[tuf.SnapshotType](data)
	default:
		parsed, err = signedPart[tuf.TargetsType](data)
	}
	if err != nil {
		return envelope{}, err
	}
	if p, err := e.payload(); err != nil || !bytes.Equal(p, parsed) {
		return envelope{}, errors.New("a part of it would be overlooked: a member is spelled in an unusual way")
	}
	return e, nil
}

// signedPart is the canonical form of what a parsed file says.
func signedPart[T tuf.Roles](data []byte) ([]byte, error) {
	md, err := parse[T](data)
	if err != nil {
		return nil, err
	}
	signed, err := json.Marshal(md.Signed)
	if err != nil {
		return nil, err
	}
	return envelope{Signed: signed}.payload()
}
