package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tufoci/tufoci/metadata"
)

// MaxMessage bounds the message of a ceremony, in bytes.
const MaxMessage = 1000

// Ceremony is what several people are to sign.
type Ceremony struct {
	TxID       string // hex sha256 of the bytes to sign of all roles, root first, then by name, one behind the other
	Message    string // why, in a sentence
	Repository string // REG/REPO
	Channel    string // tag
	Created    time.Time
	BaseDigest string // of the bundle that was published then, "" for none
	*metadata.Changeset
}

// StartOptions say what a ceremony is about.
type StartOptions struct {
	Roles   []string // empty: all staged ones that people sign
	Message string   // required
	File    string   // where the file will be, for people
	Now     time.Time
}

// Start freezes what is staged of roles, and makes a ceremony of it. The same once more is the same ceremony: a start that
// was killed can be repeated. Errors of metadata.Workspace.Changeset and Freeze.
func Start(w *metadata.Workspace, o StartOptions) (*Ceremony, error) {
	if err := checkMessage(o.Message); err != nil {
		return nil, fmt.Errorf("%w: %v", metadata.ErrInvalid, err)
	}
	changes, err := w.Changeset(o.Roles...)
	if err != nil {
		return nil, err
	}
	c := &Ceremony{
		Message: o.Message, Repository: w.Config().Repository, Channel: w.Config().Channel,
		Created: o.Now.UTC().Truncate(time.Second), Changeset: changes,
	}
	if c.TxID, err = txID(changes); err != nil {
		return nil, err
	}
	base, err := w.Base()
	if err != nil {
		return nil, err
	}
	if base != nil {
		c.BaseDigest = base.Digest
	}
	if _, err := c.Marshal(); err != nil { // what cannot be written is not to be frozen
		return nil, err
	}
	return c, w.Freeze(metadata.Freeze{ID: c.TxID, Message: c.Message, File: o.File}, changes.Roles()...)
}

func checkMessage(s string) error {
	switch {
	case s == "":
		return errors.New("a ceremony needs a message: those who sign are to know why")
	case len(s) > MaxMessage || !utf8.ValidString(s):
		return fmt.Errorf("the message is UTF-8 of at most %d bytes", MaxMessage)
	}
	return nil
}

// txID is the sha256 of all bytes to sign, one behind the other. Each is one JSON object, so that they cannot be cut
// otherwise; of one role it is what sha256sum says of its bytes.
func txID(changes *metadata.Changeset) (string, error) {
	h := sha256.New()
	for _, role := range changes.Roles() {
		payload, err := changes.Payload(role)
		if err != nil {
			return "", err
		}
		h.Write(payload)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Short is the start of a txid in groups, to be read aloud. It tells ceremonies apart; that two people have the same bytes
// before them is what the whole txid says.
func Short(txid string) string {
	if len(txid) < 12 {
		return txid
	}
	return txid[:4] + "-" + txid[4:8] + "-" + txid[8:12]
}

// Names reports whether text names the ceremony: its txid, whole or short.
func Names(text, txid string) bool { return text == txid || text == Short(txid) }

// CompareBase compares what the ceremony says was published with what is: published returns the verified file of a role,
// nil for a role that there is none of. *BaseError.
func (c *Ceremony) CompareBase(ctx context.Context, published func(ctx context.Context, role string) ([]byte, error)) error {
	base, err := c.Base()
	if err != nil {
		return err
	}
	for _, role := range c.Roles() {
		if !slices.ContainsFunc(base, func(d metadata.RoleData) bool { return d.Role == role }) {
			base = append(base, metadata.RoleData{Role: role})
		}
	}
	for _, frozen := range base {
		now, err := published(ctx, frozen.Role)
		if err != nil {
			return err
		}
		if err := compare(frozen, now); err != nil {
			return err
		}
	}
	return nil
}

// compare compares one role. Nil is none.
func compare(frozen metadata.RoleData, now []byte) error {
	then := frozen.Data
	if string(then) == string(now) {
		return nil
	}
	e := &BaseError{Role: frozen.Role}
	for i, f := range []struct {
		data    []byte
		version *int64
	}{{then, &e.Frozen}, {now, &e.Published}} {
		if f.data == nil {
			continue
		}
		version, err := metadata.FileVersion(f.data)
		if err != nil {
			return err
		}
		*f.version, e.Digests[i] = version, digest(f.data)
	}
	return e
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Incomplete lists the roles that lack signatures; nil when all thresholds are met.
func (c *Ceremony) Incomplete() ([]metadata.RoleSignatures, error) {
	all, err := c.Signatures()
	return slices.DeleteFunc(all, metadata.RoleSignatures.Complete), err
}

// Silent lists the keys that a root newly takes and that have not signed it: nothing shows yet that somebody holds them.
func (c *Ceremony) Silent() ([]metadata.KeyInfo, error) {
	all, err := c.Signatures()
	if err != nil {
		return nil, err
	}
	var out []metadata.KeyInfo
	for _, r := range all {
		if len(r.Rules) < 2 || r.Role != "root" {
			continue
		}
		for _, k := range r.Rules[1].Keys {
			known := slices.ContainsFunc(r.Rules[0].Keys, func(old metadata.KeyInfo) bool { return old.ID == k.ID })
			if !known && !k.Signed {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// Apply puts the signatures into the workspace that the ceremony was started in, and ends it. What is staged there must be
// what was frozen, byte for byte, on the same base, and all thresholds must be met: else nothing changes.
// *IncompleteError, ErrOther, metadata.ErrChanged, *BaseError.
func Apply(w *metadata.Workspace, c *Ceremony) ([]metadata.RoleSignatures, error) {
	if repository := w.Config().Repository; c.Repository != repository || c.Channel != w.Config().Channel {
		return nil, fmt.Errorf("%w: it is for %s:%s, this workspace for %s:%s", ErrOther, c.Repository, c.Channel, repository, w.Config().Channel)
	}
	lacking, err := c.Incomplete()
	if err != nil {
		return nil, err
	}
	if len(lacking) > 0 {
		return nil, &IncompleteError{lacking}
	}
	signed, err := w.AddSignatures(c.Changeset)
	if moved, ok := errors.AsType[*metadata.ConflictError](err); ok && len(moved.Roles) > 0 {
		r := moved.Roles[0]
		return nil, &BaseError{Role: r.Role, Frozen: r.BaseVersion, Published: r.HeadVersion}
	}
	if err != nil {
		return nil, err
	}
	if err := w.Unfreeze(c.TxID); err != nil && !errors.Is(err, metadata.ErrNotFrozen) {
		return nil, err
	}
	return signed, nil
}

// Abort ends a ceremony without its signatures: the roles can be edited again, and what is staged stays.
// metadata.ErrNotFrozen.
func Abort(w *metadata.Workspace, txid string) error { return w.Unfreeze(txid) }
