package material

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of one list of revocations: bytes of the file, entries of each kind, bytes of a reason.
const (
	MaxRevocationsSize = 8 << 20
	MaxRevoked         = 10_000
	MaxReason          = 1024
)

const (
	revocationsVersion = 1
	// maxRepository is the usual limit of registries on a repository name, in bytes.
	maxRepository = 255
	// timeForm is RFC 3339 in UTC and whole seconds. A parser of Go takes fractions of a second behind it.
	timeForm = "2006-01-02T15:04:05Z"
)

var (
	digestRE = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	sumRE    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// repositoryRE is that of the OCI distribution specification, "Pulling manifests".
	repositoryRE = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
)

// revocationMembers are the names of all members of a list.
var revocationMembers = []string{"version", "images", "certificates", "digest", "repository", "reason", "time", "sha256"}

// Revocations is the content of revocations.json, and of the files below
// revocations/, layout v1: what must not run or be believed, whatever else is
// signed.
type Revocations struct {
	Images       []RevokedImage
	Certificates []RevokedCertificate
}

// RevokedImage is one revoked manifest or index.
type RevokedImage struct {
	Digest string `json:"digest"` // "sha256:" and hex
	// Repository limits it to one repository, without a host; "": everywhere.
	Repository string    `json:"repository,omitempty"`
	Reason     string    `json:"reason"` // one line, at most [MaxReason] bytes
	Time       time.Time `json:"time"`   // UTC, whole seconds
	// List is where a client has read it, such as "revocations.json, targets v42";
	// it is no part of a list.
	List string `json:"-"`
}

// RevokedCertificate is one revoked certificate of any place in a chain.
type RevokedCertificate struct {
	SHA256 string    `json:"sha256"` // hex of the DER
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
	List   string    `json:"-"` // see RevokedImage
}

// revocationsFile is a list as it is written. A time is text here: that of package time takes more forms than one.
type revocationsFile struct {
	Version      int                      `json:"version"`
	Images       []revokedImageFile       `json:"images"`
	Certificates []revokedCertificateFile `json:"certificates"`
}

type revokedImageFile struct {
	Digest     string  `json:"digest"`
	Repository *string `json:"repository,omitempty"`
	Reason     string  `json:"reason"`
	Time       string  `json:"time"`
}

type revokedCertificateFile struct {
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
	Time   string `json:"time"`
}

// ParseRevocations reads a list strictly: version 1, no unknown or repeated
// member, no entry twice, digests and times in their form. The entries come
// sorted. ErrInvalid.
func ParseRevocations(data []byte) (*Revocations, error) {
	if len(data) > MaxRevocationsSize {
		return nil, fmt.Errorf("%w: revocations of %d bytes, at most %d are allowed", ErrInvalid, len(data), MaxRevocationsSize)
	}
	var file revocationsFile
	if err := decodeStrict(data, revocationMembers, &file); err != nil {
		return nil, fmt.Errorf("%w: revocations: %v", ErrInvalid, err)
	}
	if file.Version != revocationsVersion {
		return nil, fmt.Errorf("%w: revocations of version %d; this reads version %d", ErrInvalid, file.Version, revocationsVersion)
	}
	r, err := file.parse()
	if err != nil {
		return nil, fmt.Errorf("%w: revocations: %v", ErrInvalid, err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.sort()
	return r, nil
}

// parse takes in what the file spells out: its times, and that a repository is absent rather than empty.
func (f *revocationsFile) parse() (*Revocations, error) {
	r := &Revocations{}
	for _, i := range f.Images {
		t, err := parseTime(i.Time)
		if err != nil {
			return nil, err
		}
		repository := ""
		if i.Repository != nil {
			if repository = *i.Repository; repository == "" {
				return nil, fmt.Errorf("image %q: an empty repository; leave it out to revoke everywhere", i.Digest)
			}
		}
		r.Images = append(r.Images, RevokedImage{Digest: i.Digest, Repository: repository, Reason: i.Reason, Time: t})
	}
	for _, c := range f.Certificates {
		t, err := parseTime(c.Time)
		if err != nil {
			return nil, err
		}
		r.Certificates = append(r.Certificates, RevokedCertificate{SHA256: c.SHA256, Reason: c.Reason, Time: t})
	}
	return r, nil
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(timeForm, s)
	if err != nil || len(s) != len(timeForm) {
		return time.Time{}, fmt.Errorf("time %q; it must be whole seconds in UTC", s)
	}
	return t, nil
}

// Marshal writes a list in a fixed order: sorted, entries once. What it writes
// [ParseRevocations] reads; a list that it would refuse is ErrInvalid, for
// instance one with fractions of a second.
func (r *Revocations) Marshal() ([]byte, error) {
	once := &Revocations{}
	once.Add(r)
	if err := once.check(); err != nil {
		return nil, err
	}
	once.sort()
	file := revocationsFile{Version: revocationsVersion, Images: []revokedImageFile{}, Certificates: []revokedCertificateFile{}}
	for _, i := range once.Images {
		out := revokedImageFile{Digest: i.Digest, Reason: i.Reason, Time: i.Time.UTC().Format(timeForm)}
		if i.Repository != "" {
			out.Repository = &i.Repository
		}
		file.Images = append(file.Images, out)
	}
	for _, c := range once.Certificates {
		file.Certificates = append(file.Certificates, revokedCertificateFile{c.SHA256, c.Reason, c.Time.UTC().Format(timeForm)})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(file); err != nil {
		return nil, err
	}
	if out.Len() > MaxRevocationsSize {
		return nil, fmt.Errorf("%w: revocations of %d bytes, at most %d are allowed", ErrInvalid, out.Len(), MaxRevocationsSize)
	}
	return out.Bytes(), nil
}

// check holds a list to its bounds and each entry to its form. ErrInvalid.
func (r *Revocations) check() error {
	if n := max(len(r.Images), len(r.Certificates)); n > MaxRevoked {
		return fmt.Errorf("%w: %d revocations of one kind, at most %d are allowed", ErrInvalid, n, MaxRevoked)
	}
	images := map[imageKey]bool{}
	for _, i := range r.Images {
		if err := i.check(); err != nil {
			return fmt.Errorf("%w: revoked image %q: %v", ErrInvalid, i.Digest, err)
		}
		if images[i.key()] {
			return fmt.Errorf("%w: image %s is revoked twice in one list", ErrInvalid, i.Digest)
		}
		images[i.key()] = true
	}
	certificates := map[string]bool{}
	for _, c := range r.Certificates {
		if err := c.check(); err != nil {
			return fmt.Errorf("%w: revoked certificate %q: %v", ErrInvalid, c.SHA256, err)
		}
		if certificates[c.SHA256] {
			return fmt.Errorf("%w: certificate %s is revoked twice in one list", ErrInvalid, c.SHA256)
		}
		certificates[c.SHA256] = true
	}
	return nil
}

func (i RevokedImage) check() error {
	switch {
	case !digestRE.MatchString(i.Digest):
		return errors.New("want sha256: and 64 lower-case hex digits")
	case len(i.Repository) > maxRepository || i.Repository != "" && !repositoryRE.MatchString(i.Repository):
		return fmt.Errorf("%q is not the path of a repository, without a host", i.Repository)
	}
	return checkReason(i.Reason, i.Time)
}

func (c RevokedCertificate) check() error {
	if !sumRE.MatchString(c.SHA256) {
		return errors.New("want 64 lower-case hex digits")
	}
	return checkReason(c.Reason, c.Time)
}

// checkReason holds a reason to a line that can be printed, a time to what [timeForm] can say.
func checkReason(reason string, t time.Time) error {
	t = t.UTC()
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("no reason")
	case len(reason) > MaxReason:
		return fmt.Errorf("a reason of %d bytes, at most %d are allowed", len(reason), MaxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return fmt.Errorf("reason %q has control characters", reason)
	case t.Nanosecond() != 0 || t.Year() < 0 || t.Year() > 9999:
		return fmt.Errorf("time %s; it must be whole seconds", t)
	}
	return nil
}

func (r *Revocations) sort() {
	slices.SortFunc(r.Images, func(a, b RevokedImage) int {
		return cmp.Or(strings.Compare(a.Digest, b.Digest), strings.Compare(a.Repository, b.Repository))
	})
	slices.SortFunc(r.Certificates, func(a, b RevokedCertificate) int { return strings.Compare(a.SHA256, b.SHA256) })
}

// imageKey is what makes two entries of images the same.
type imageKey struct{ digest, repository string }

func (i RevokedImage) key() imageKey { return imageKey{i.Digest, i.Repository} }

// Add takes in the entries of o; of an entry that both have, that of r stays.
func (r *Revocations) Add(o *Revocations) {
	more := o.Missing(r)
	r.Images = append(r.Images, more.Images...)
	r.Certificates = append(r.Certificates, more.Certificates...)
}

// Missing returns the entries of r that o does not have, each once.
func (r *Revocations) Missing(o *Revocations) *Revocations {
	images := map[imageKey]bool{}
	for _, i := range o.Images {
		images[i.key()] = true
	}
	certificates := map[string]bool{}
	for _, c := range o.Certificates {
		certificates[c.SHA256] = true
	}
	missing := &Revocations{}
	for _, i := range r.Images {
		if !images[i.key()] {
			images[i.key()] = true
			missing.Images = append(missing.Images, i)
		}
	}
	for _, c := range r.Certificates {
		if !certificates[c.SHA256] {
			certificates[c.SHA256] = true
			missing.Certificates = append(missing.Certificates, c)
		}
	}
	return missing
}

// Image returns the entry that revokes a manifest in a repository (its path
// without host), or nil. An entry without a repository counts in all.
func (r *Revocations) Image(digest, repository string) *RevokedImage {
	for n, i := range r.Images {
		if i.Digest == digest && (i.Repository == "" || i.Repository == repository) {
			return &r.Images[n]
		}
	}
	return nil
}

// ImagesOf returns the entries that count in a repository (its path without host),
// by digest: for who asks about many. They are those that Image returns.
func (r *Revocations) ImagesOf(repository string) map[string]*RevokedImage {
	all := map[string]*RevokedImage{}
	for n, i := range r.Images {
		if all[i.Digest] == nil && (i.Repository == "" || i.Repository == repository) {
			all[i.Digest] = &r.Images[n]
		}
	}
	return all
}

// Issued returns the entry that revokes a certificate of this issuer, which is itself
// for a self-signed one, or nil: by either of the two sha256 that it can have where the
// issuer signs with ECDSA. That of a certificate which is not [IsDER] says nothing.
func (r *Revocations) Issued(c, issuer *x509.Certificate) *RevokedCertificate {
	if e := r.Certificate(SHA256(c)); e != nil || len(r.Certificates) == 0 {
		return e
	}
	if other := otherSHA256(c, issuer); other != "" {
		return r.Certificate(other)
	}
	return nil
}

// Certificate returns the entry that revokes the certificate with this hex
// sha256, or nil.
func (r *Revocations) Certificate(sha256 string) *RevokedCertificate {
	for n, c := range r.Certificates {
		if c.SHA256 == sha256 {
			return &r.Certificates[n]
		}
	}
	return nil
}
