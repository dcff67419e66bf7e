package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/ownfile"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// ReceiptSuffix is what the name of a receipt has behind that of its archive.
	ReceiptSuffix = ".receipt.json"

	receiptVersion = 1
	// maxReceipt is the largest receipt that is read, in bytes: some 50,000 images.
	maxReceipt = 64 << 20
)

// ErrReceipt says that a receipt cannot be read.
var ErrReceipt = errors.New("invalid receipt")

// Receipt records what was verified when an archive was made. It is a record for
// people and for other programs, and no evidence: whoever loads an archive verifies
// all of it again and believes nothing of this.
type Receipt struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	// Program that made it.
	Program string `json:"program"`
	// Source that was read.
	Source  string         `json:"source"`
	Root    ReceiptRoot    `json:"root"`
	Archive ReceiptArchive `json:"archive"`
	// Bundle is the digest of the manifest under the tag in the archive.
	Bundle  digest.Digest `json:"bundle"`
	Roles   []ReceiptRole `json:"roles"`
	Targets int           `json:"targets"`
	// Images in the order of their names.
	Images []ReceiptImage `json:"images"`
	// ValidUntil is when the first of Ends ends, with MaxStale.
	ValidUntil time.Time `json:"validUntil"`
	MaxStale   string    `json:"maxStale"`
	Ends       []End     `json:"ends"`
}

// ReceiptRoot is the root from which all was verified.
type ReceiptRoot struct {
	Version int64         `json:"version"`
	SHA256  digest.Digest `json:"sha256"`
}

// ReceiptArchive is the file that the receipt speaks of.
type ReceiptArchive struct {
	SHA256 digest.Digest `json:"sha256"`
	Size   int64         `json:"size"`
}

// ReceiptRole is one file of metadata.
type ReceiptRole struct {
	Role    string        `json:"role"`
	Version int64         `json:"version"`
	Expires time.Time     `json:"expires"`
	SHA256  digest.Digest `json:"sha256"`
}

// ReceiptImage is one image, under its canonical name.
type ReceiptImage struct {
	Name      string        `json:"name"`
	Tag       string        `json:"tag"`
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	// Allowed is "revoked" or "unmapped" if it did not verify.
	Allowed string `json:"allowed"`
	// Signatures are those by which it was accepted.
	Signatures []ReceiptSignature `json:"signatures"`
	// Referrers is how many manifests of the archive refer to it, or to what does.
	Referrers int `json:"referrers"`
}

// ReceiptSignature is one Notation signature that was found good.
type ReceiptSignature struct {
	Digest digest.Digest `json:"digest"`
	// Signer is the subject of the certificate, and SHA256 that certificate's.
	Signer string        `json:"signer"`
	SHA256 digest.Digest `json:"sha256"`
	// Chain are the sha256 of all certificates, the signer's first.
	Chain []digest.Digest `json:"chain"`
}

// ParseReceipt reads a receipt: one JSON object without members that are not known
// or stand twice. ErrReceipt, also for a later version.
func ParseReceipt(data []byte) (*Receipt, error) {
	r, err := parseReceipt(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return r, nil
}

func parseReceipt(data []byte) (*Receipt, error) {
	if err := ociremote.CheckJSON(data); err != nil {
		return nil, err
	}
	var only struct{ Version int }
	if err := json.Unmarshal(data, &only); err != nil {
		return nil, err
	}
	if only.Version != receiptVersion {
		return nil, fmt.Errorf("version %d, this version of tufoci reads %d", only.Version, receiptVersion)
	}
	var r Receipt
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, err
	}
	for what, d := range map[string]digest.Digest{"root.sha256": r.Root.SHA256, "archive.sha256": r.Archive.SHA256, "bundle": r.Bundle} {
		if !ociremote.IsDigest(d.String()) {
			return nil, fmt.Errorf("%s: want sha256: and 64 hex digits", what)
		}
	}
	return &r, nil
}

// ReadReceipt reads the receipt of an archive, which is beside it; nil if there is
// none. ErrReceipt.
func ReadReceipt(archive string) (*Receipt, error) {
	data, err := ownfile.ReadLinked(archive+ReceiptSuffix, maxReceipt)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if data == nil {
		return nil, nil
	}
	return ParseReceipt(data)
}

// encode writes the receipt as ParseReceipt reads it.
func (r *Receipt) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(r)
	return out.Bytes(), err
}
