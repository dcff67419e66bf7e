package ceremony

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

const (
	fileFormat      = "tufoci-ceremony"
	signatureFormat = "tufoci-ceremony-signature"
	formatVersion   = 1

	// MaxFile bounds a ceremony file, in bytes: all roles that change, twice, of any size that other clients take.
	MaxFile = 64 << 20
)

// file is a ceremony as it is written: JSON, so that a pull request shows what changes.
type file struct {
	Format     string            `json:"format"`
	Version    int               `json:"version"`
	TxID       string            `json:"txid"`
	Message    string            `json:"message"`
	Repository string            `json:"repository"`
	Channel    string            `json:"channel"`
	Created    time.Time         `json:"created"`
	Roles      []roleFile        `json:"roles"` // to be signed
	Keys       map[string]string `json:"keys"`  // names by key id
	Base       baseFile          `json:"base"`
	Contents   [][]byte          `json:"contents"` // target files that change
}

// roleFile is a metadata file with the signatures that it has so far.
type roleFile struct {
	Role     string          `json:"role"`
	Metadata json.RawMessage `json:"metadata"`
}

// baseFile is what was published: files byte for byte, which is how they are compared.
type baseFile struct {
	Digest string      `json:"digest"`
	Roles  []baseEntry `json:"roles"`
}

type baseEntry struct {
	Role string `json:"role"`
	File []byte `json:"file"`
}

// signatureFile is what a signer sends back.
type signatureFile struct {
	Format     string                       `json:"format"`
	Version    int                          `json:"version"`
	TxID       string                       `json:"txid"`
	Signatures []metadata.DetachedSignature `json:"signatures"`
}

// Marshal writes the ceremony with all its signatures.
func (c *Ceremony) Marshal() ([]byte, error) {
	files, err := c.Files()
	if err != nil {
		return nil, err
	}
	f := file{
		Format: fileFormat, Version: formatVersion, TxID: c.TxID, Message: c.Message, Repository: c.Repository, Channel: c.Channel,
		Created: c.Created, Keys: files.Names, Contents: files.Contents,
		Base: baseFile{Digest: c.BaseDigest, Roles: []baseEntry{}},
	}
	for _, d := range files.Next {
		f.Roles = append(f.Roles, roleFile{d.Role, d.Data})
	}
	for _, d := range files.Base {
		f.Base.Roles = append(f.Base.Roles, baseEntry{d.Role, d.Data})
	}
	if f.Contents == nil {
		f.Contents = [][]byte{}
	}
	data, err := encode(f)
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("%w: the ceremony would have %d bytes, at most %d are read", metadata.ErrInvalid, len(data), MaxFile)
	}
	return data, err
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return out.Bytes(), err
}

// Parse reads a ceremony, strictly: it must be as Marshal writes it, but for space between its parts. The txid is computed
// again, and each signature verified. ErrFormat, ErrNewerFormat, and metadata's errors for what the parts say.
func Parse(data []byte) (*Ceremony, error) {
	var f file
	if err := decode(data, MaxFile, fileFormat, &f); err != nil {
		return nil, err
	}
	in := metadata.ChangesetFiles{Names: f.Keys, Contents: f.Contents}
	for _, r := range f.Roles {
		in.Next = append(in.Next, metadata.RoleData{Role: r.Role, Data: r.Metadata})
	}
	for _, r := range f.Base.Roles {
		in.Base = append(in.Base, metadata.RoleData{Role: r.Role, Data: r.File})
	}
	changes, err := metadata.NewChangeset(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	c := &Ceremony{
		Message: f.Message, Repository: f.Repository, Channel: f.Channel, Created: f.Created, BaseDigest: f.Base.Digest,
		Changeset: changes,
	}
	if c.TxID, err = txID(changes); err != nil {
		return nil, err
	}
	if c.TxID != f.TxID {
		return nil, fmt.Errorf("%w: it says that its txid is %s, but what it would have you sign is %s", ErrFormat, f.TxID, c.TxID)
	}
	if err := checkMessage(c.Message); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	return c, c.asWritten(data)
}

// asWritten refuses a file that says more than was read of it: a member twice, in other letters, in another order.
func (c *Ceremony) asWritten(data []byte) error {
	again, err := c.Marshal()
	if err != nil {
		return err
	}
	var had, want bytes.Buffer
	if err := errors.Join(json.Compact(&had, data), json.Compact(&want, again)); err != nil {
		return err
	}
	if !bytes.Equal(had.Bytes(), want.Bytes()) {
		return fmt.Errorf("%w: it is not as tufoci writes it", ErrFormat)
	}
	return nil
}

// decode reads one JSON document of a format.
func decode(data []byte, limit int, format string, into any) error {
	if len(data) > limit {
		return fmt.Errorf("%w: %d bytes, at most %d are read", ErrFormat, len(data), limit)
	}
	switch name, version := formatOf(data); {
	case name != format:
		return fmt.Errorf("%w: its format is %q, not %q", ErrFormat, name, format)
	case version > formatVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", ErrNewerFormat, version, formatVersion)
	case version != formatVersion:
		return fmt.Errorf("%w: version %d", ErrFormat, version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: data behind the document", ErrFormat)
	}
	return nil
}

// formatOf is what a JSON document says it is, "" for what is none or does not say.
func formatOf(data []byte) (name string, version int) {
	var f struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if json.Unmarshal(data, &f) != nil {
		return "", 0
	}
	return f.Format, f.Version
}
