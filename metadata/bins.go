package metadata

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	// imagesRole is the role above the hash bins.
	imagesRole = "images"
	// binsRole is how tufoci.yaml and SetRole name all hash bins at once. No role has this name.
	binsRole = "bins"
	// imagesPrefix starts the names of image entries.
	imagesPrefix = "images/"
	// maxImageDepth is how many components an image entry can have after images/: the role images has one pattern for
	// each depth, since TUF's "*" stops at "/".
	maxImageDepth = 8
	// maxBins is how many bins a bundle takes, each being a layer.
	maxBins = 256

	defaultBinPrefix = "b"
)

// BinsOptions describes the hash bins of image entries (TAP 15).
type BinsOptions struct {
	Name    string   // of the role above the bins; only "images", the default
	Bins    int      // a power of two, 2 to 256
	Keys    []string // offline keys of the role images
	BinKeys []string // online keys of the bins
	Prefix  string   // names are PREFIX-00 …; default "b"
}

// binOf is the bin of a path (TAP 15): the leftmost bits of its sha256.
func binOf(s *tuf.SuccinctRoles, path string) string {
	sum := sha256.Sum256([]byte(path))
	n := binary.BigEndian.Uint32(sum[:4]) >> (32 - s.BitLength)
	width, _ := s.GetSuffixLen()
	return fmt.Sprintf("%s-%0*x", s.NamePrefix, width, n)
}

// binParent finds the role that delegates the bin, if role is one.
func (v *view) binParent(role string) (parent string, ok bool, err error) {
	edges, err := v.edges()
	if err != nil {
		return "", false, err
	}
	for _, d := range edges {
		if d.succinct != nil && d.succinct.IsDelegatedRole(role) {
			return d.parent, true, nil
		}
	}
	return "", false, nil
}

// bins returns the delegation of hash bins; nil if there is none.
func (v *view) bins() (*delegation, error) {
	edges, err := v.edges()
	if err != nil {
		return nil, err
	}
	for i, d := range edges {
		if d.succinct != nil {
			return &edges[i], nil
		}
	}
	return nil, nil
}

// AddBins stages the role images, delegated by targets after all other roles, and in it the delegation of the hash bins.
// The bins themselves are made by the next publish, with their online key. ErrRoleExists, ErrInvalid.
func (w *Workspace) AddBins(o BinsOptions) error {
	if o.Name != "" && o.Name != imagesRole {
		return fmt.Errorf("%w: hash bins hang under the role %q only, not %q", ErrInvalid, imagesRole, o.Name)
	}
	prefix := strings.TrimSuffix(o.Prefix, "-")
	if prefix == "" {
		prefix = defaultBinPrefix
	}
	if !roleNameRE.MatchString(prefix) {
		return fmt.Errorf("%w: bin prefix %q", ErrInvalid, o.Prefix)
	}
	if o.Bins < 2 || o.Bins > maxBins || bits.OnesCount(uint(o.Bins)) != 1 {
		return fmt.Errorf("%w: number of bins %d: want a power of two from 2 to %d", ErrInvalid, o.Bins, maxBins)
	}
	succinct := &tuf.SuccinctRoles{Threshold: 1, BitLength: bits.TrailingZeros(uint(o.Bins)), NamePrefix: prefix}
	if err := w.checkBinNames(succinct); err != nil {
		return err
	}
	binKeys, err := w.delegationKeys(o.BinKeys, 1)
	if err != nil {
		return fmt.Errorf("keys of the bins: %w", err)
	}
	succinct.KeyIDs = binKeys.ids
	images := newTargets()
	images.Signed.Delegations = &tuf.Delegations{Keys: binKeys.byID(), SuccinctRoles: succinct}

	role := tuf.DelegatedRole{Name: imagesRole, Threshold: 1, Terminating: true, Paths: imagePatterns()}
	e, err := w.newEdit()
	if err != nil {
		return err
	}
	return e.addDelegation(tuf.TARGETS, role, o.Keys, images)
}

// checkBinNames refuses bins of which one has the name of a role.
func (w *Workspace) checkBinNames(s *tuf.SuccinctRoles) error {
	edges, err := w.view().edges()
	if err != nil {
		return err
	}
	for _, d := range edges {
		if d.role != nil && s.IsDelegatedRole(d.role.Name) {
			return fmt.Errorf("%w: %q would be the name of a bin too", ErrRoleExists, d.role.Name)
		}
	}
	return nil
}

// imagePatterns match every image entry of up to maxImageDepth components.
func imagePatterns() []string {
	var out []string
	for n := 1; n <= maxImageDepth; n++ {
		out = append(out, imagesPrefix+strings.Join(slices.Repeat([]string{"*"}, n), "/"))
	}
	return out
}
