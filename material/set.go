package material

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

// File is the bytes of one target under a reserved name.
type File struct {
	Name   string
	Data   []byte
	Custom json.RawMessage
}

// Set is all of the Notation material of one repository.
type Set struct {
	// Stores by type and name. A store has at least one certificate.
	Stores map[StoreType]map[string][]*x509.Certificate
	// Files are the certificates of Stores by the name of their target.
	Files map[string][]*x509.Certificate
	CRLs  []*CRL
	// Policy is nil if there is none; PolicyData are its bytes.
	Policy     *trustpolicy.Document
	PolicyData []byte
	// Revocations are the entries of all lists together; never nil.
	Revocations *Revocations
}

// Read makes a Set of the files below notation/ and revocations*; others are
// passed over. It is all or nothing: a file that breaks its rules, a CRL without
// its issuer, a name given twice, an unknown name below notation/x509,
// notation/crl or revocations/ is ErrInvalid. Stores and CRLs are in the order of
// their names.
func Read(files []File) (*Set, error) {
	set, problems := read(files)
	if len(problems) > 0 {
		return nil, problems[0].err
	}
	return set, nil
}

// problem is a file that broke its rules.
type problem struct {
	rule, name string
	err        error
}

// reader makes a Set and keeps what does not fit in.
type reader struct {
	set      *Set
	files    map[string]File
	problems []problem
}

// read makes a Set of those files that keep their rules.
func read(files []File) (*Set, []problem) {
	r := &reader{
		set: &Set{
			Stores: map[StoreType]map[string][]*x509.Certificate{}, Files: map[string][]*x509.Certificate{}, Revocations: &Revocations{},
		},
		files: map[string]File{},
	}
	for _, f := range files {
		if _, ok := r.files[f.Name]; ok {
			r.refuse("name", f.Name, fmt.Errorf("%w: %q is given twice", ErrInvalid, f.Name))
		}
		r.files[f.Name] = f
	}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		r.file(r.files[name])
	}
	return r.set, r.problems
}

func (r *reader) refuse(rule, name string, err error) {
	r.problems = append(r.problems, problem{rule, name, err})
}

// file takes in one file.
func (r *reader) file(f File) {
	switch {
	case f.Name == PolicyName:
		policy, err := ParsePolicy(f.Data)
		if err != nil {
			r.refuse("policy", f.Name, err)
			return
		}
		r.set.Policy, r.set.PolicyData = policy, f.Data
	case strings.HasPrefix(f.Name, x509Tree):
		r.certificates(f)
	case strings.HasPrefix(f.Name, crlTree):
		r.crl(f)
	case IsRevocations(f.Name):
		list, err := ParseRevocations(f.Data)
		if err != nil {
			r.refuse("revocations", f.Name, fmt.Errorf("%s: %w", f.Name, err))
			return
		}
		r.set.Revocations.Add(list)
	case strings.HasPrefix(f.Name, revocationsTree):
		r.refuse("name", f.Name, fmt.Errorf("%w: %q is no list of revocations", ErrInvalid, f.Name))
	}
}

func (r *reader) certificates(f File) {
	t, store, _, ok := ParseCertificateName(f.Name)
	if !ok {
		r.refuse("name", f.Name, fmt.Errorf("%w: %q is not TYPE/STORE/FILE of a Notation trust store", ErrInvalid, f.Name))
		return
	}
	certs, err := ParseCertificates(t, f.Data)
	if err != nil {
		r.refuse("certificate", f.Name, fmt.Errorf("%s: %w", f.Name, err))
		return
	}
	if r.set.Stores[t] == nil {
		r.set.Stores[t] = map[string][]*x509.Certificate{}
	}
	r.set.Stores[t][store] = append(r.set.Stores[t][store], certs...)
	r.set.Files[f.Name] = certs
}

func (r *reader) crl(f File) {
	name, isIssuer, ok := ParseCRLName(f.Name)
	switch {
	case !ok:
		r.refuse("name", f.Name, fmt.Errorf("%w: %q is neither a CRL nor the issuer of one", ErrInvalid, f.Name))
		return
	case isIssuer:
		return // read with its CRL
	}
	issuer, ok := r.files[crlTree+name+issuerEnd]
	if !ok {
		r.refuse("crl", f.Name, fmt.Errorf("%w: CRL %s has no issuer, %s", ErrInvalid, name, crlTree+name+issuerEnd))
		return
	}
	crl, err := ParseCRL(name, f.Data, issuer.Data, f.Custom)
	if err != nil {
		r.refuse("crl", f.Name, err)
		return
	}
	r.set.CRLs = append(r.set.CRLs, crl)
}

// CheckIssuer checks that the issuer of a CRL is a certificate of a store, or
// chains to one by signatures, through certificates that travel with a CRL.
// ErrIssuer.
func (s *Set) CheckIssuer(c *CRL) error {
	var anchors []*x509.Certificate
	for _, file := range slices.Sorted(maps.Keys(s.Files)) {
		anchors = append(anchors, s.Files[file]...)
	}
	between := slices.Clone(c.Chain)
	for _, o := range s.CRLs {
		between = append(append(between, o.Issuer), o.Chain...)
	}
	// Walk upwards; each certificate is looked at once, so that a circle ends.
	seen := map[string]bool{}
	for level := []*x509.Certificate{c.Issuer}; len(level) > 0; {
		var above []*x509.Certificate
		for _, cert := range level {
			if slices.ContainsFunc(anchors, func(a *x509.Certificate) bool { return cert.Equal(a) || issued(a, cert) }) {
				return nil
			}
			for _, parent := range between {
				if !seen[string(parent.Raw)] && issued(parent, cert) {
					seen[string(parent.Raw)] = true
					above = append(above, parent)
				}
			}
		}
		level = above
	}
	return fmt.Errorf("%w: CRL %s of %q", ErrIssuer, c.Name, c.Issuer.Subject)
}
