package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// SaveOptions of [Save]. Copy.Source and File are needed.
type SaveOptions struct {
	// Copy is what goes into the archive. Its Destination, History, NoHistory, DryRun
	// and BeforeTags are not used.
	Copy Options
	// File is the archive. Its receipt gets the same name and [ReceiptSuffix].
	File string
	// ValidUntil is how long all of it has to stay valid; zero: it does not matter.
	ValidUntil time.Time
	// MaxStale is how long after their expiry timestamp and snapshot are accepted where
	// the archive goes: the decision of whoever pins the trust there.
	MaxStale time.Duration
	// Program and its version, for the receipt.
	Program string
}

// SaveResult is what [Save] did.
type SaveResult struct {
	Copy    *Result
	Receipt *Receipt
	// ReceiptFile is where it is.
	ReceiptFile string
}

// Save makes one archive of a trust repository and images of any number of
// repositories, and a receipt of what was verified. The archive is verified before it
// is written, by Copy, and once more as a whole when it is finished: read as whoever
// loads it will read it, from nothing but the root.
//
// The archive and its receipt appear when both are complete, one right after the
// other; a receipt never speaks of an archive that is not there. Until then, and after
// an error, those that were there before stay. A [ShortLivedError] if anything ends
// before ValidUntil, of metadata before an image is read. Other errors are those of
// Copy.
func Save(ctx context.Context, o SaveOptions) (*SaveResult, error) {
	return (&saving{o: o}).run(ctx)
}

// saving is one run of [Save].
type saving struct {
	o       SaveOptions
	archive *ociremote.Archive
	// step is called before each step that changes what others see; an error ends the
	// work there, as a crash would. Nil but for tests.
	step func(step string) error
}

func (s *saving) run(ctx context.Context) (*SaveResult, error) {
	if s.o.Copy.Now == nil {
		s.o.Copy.Now = time.Now
	}
	// What can be told before anything large is read.
	if err := s.precheck(ctx); err != nil {
		return nil, err
	}
	archive, err := ociremote.CreateArchive(s.o.File)
	if err != nil {
		return nil, err
	}
	s.archive = archive
	defer archive.Close()

	// All of it, verified one by one.
	copied, err := Copy(ctx, s.copyOptions())
	if err != nil {
		return &SaveResult{Copy: copied}, err
	}
	// The whole, as it will be read.
	sealed, err := archive.Seal()
	if err != nil {
		return nil, err
	}
	in, err := s.inspect(ctx, sealed.Repository)
	if err != nil {
		return nil, fmt.Errorf("verifying the archive: %w", err)
	}
	if err := s.require(in.validity); err != nil {
		return nil, err
	}
	receipt, err := s.receipt(ctx, in, copied, sealed)
	if err != nil {
		return nil, err
	}
	return &SaveResult{Copy: copied, Receipt: receipt, ReceiptFile: s.o.File + ReceiptSuffix}, s.commit(receipt)
}

// precheck refuses what metadata alone makes impossible, and a receipt that cannot be
// written.
func (s *saving) precheck(ctx context.Context) error {
	if info, err := os.Lstat(s.o.File + ReceiptSuffix); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "write", Path: s.o.File + ReceiptSuffix, Err: errors.New("not a regular file")}
	}
	v := &Validity{MaxStale: s.o.MaxStale}
	if err := v.addMetadata(ctx, s.o.Copy.Source.View); err != nil {
		return err
	}
	return s.require(v)
}

func (s *saving) require(v *Validity) error {
	if s.o.ValidUntil.IsZero() {
		return nil
	}
	return v.Require(s.o.ValidUntil)
}

func (s *saving) copyOptions() Options {
	o := s.o.Copy
	o.Destination = Destination{
		Trust:  s.archive,
		Images: func(context.Context, string) (ociremote.WritableRepository, error) { return s.archive, nil },
	}
	o.History, o.NoHistory, o.DryRun, o.BeforeTags = 0, true, false, nil
	return o
}

// inspect verifies the finished archive, and that it holds every image that was asked
// for.
func (s *saving) inspect(ctx context.Context, archive ociremote.Repository) (*inspection, error) {
	root, err := rootOf(s.o.Copy.Source.View)
	if err != nil {
		return nil, err
	}
	nowhere := ociremote.NewMemory()
	o := Options{
		Source: Source{Entry: s.o.Copy.Source.Entry}, Now: s.o.Copy.Now,
		AllowRevoked: s.o.Copy.AllowRevoked, AllowUnmapped: s.o.Copy.AllowUnmapped,
		Destination: Destination{
			Trust:  nowhere,
			Images: func(context.Context, string) (ociremote.WritableRepository, error) { return nowhere, nil },
		},
	}
	o.Source.Entry.MaxStale = s.o.MaxStale
	in, err := inspect(ctx, archive, root, trust.Seen{}, o)
	if err != nil {
		return nil, err
	}
	for _, image := range s.o.Copy.Images {
		if image.Tag != "" {
			image.Digest = ""
		}
		if in.answers[image] == nil {
			return nil, fmt.Errorf("%w: %s is missing", ErrCargo, image)
		}
	}
	return in, nil
}

// rootOf returns the root from which a view was verified.
func rootOf(view *trust.View) ([]byte, error) {
	st := view.Status()
	for version := st.Root.Version; version > 0; version-- {
		if data, ok := view.RootVersion(version); ok && digest.FromBytes(data).Encoded() == st.RootSHA256 {
			return data, nil
		}
	}
	return nil, errors.New("the view does not hold the pinned root")
}

// receipt writes down what the inspection found.
func (s *saving) receipt(ctx context.Context, in *inspection, copied *Result, sealed *ociremote.SealedArchive) (*Receipt, error) {
	st := in.view.Status()
	r := &Receipt{
		Version: receiptVersion, Created: s.o.Copy.Now().UTC().Truncate(time.Second), Program: s.o.Program,
		Source: s.o.Copy.Source.View.Status().SourceRef, Root: ReceiptRoot{SHA256: hexDigest(st.RootSHA256)},
		Archive: ReceiptArchive{SHA256: sealed.Digest, Size: sealed.Size}, Bundle: copied.Metadata.Digest,
		Images:     []ReceiptImage{},
		ValidUntil: in.validity.Until(), Ends: in.validity.Ends,
	}
	if s.o.MaxStale > 0 {
		r.MaxStale = period.Format(s.o.MaxStale)
	}
	for version := st.Root.Version; version > 0; version-- {
		if data, ok := in.view.RootVersion(version); ok && digest.FromBytes(data) == r.Root.SHA256 {
			r.Root.Version = version
		}
	}
	roles, err := in.view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		r.Roles = append(r.Roles, ReceiptRole{Role: role.Name, Version: role.Version, Expires: role.Expires.UTC(), SHA256: hexDigest(role.SHA256)})
	}
	targets, err := in.view.List(ctx)
	if err != nil {
		return nil, err
	}
	r.Targets = len(targets)
	for i := range in.images {
		r.Images = append(r.Images, in.receiptImage(i))
	}
	return r, nil
}

func hexDigest(hex string) digest.Digest { return digest.NewDigestFromEncoded(digest.SHA256, hex) }

// receiptImage writes down what was found of the i-th image.
func (in *inspection) receiptImage(i int) ReceiptImage {
	image, answer := in.images[i], in.answers[in.images[i].Image]
	r := ReceiptImage{
		Name: image.Name, Tag: image.Tag, Digest: image.desc.Digest, MediaType: answer.MediaType,
		Allowed: in.plan.Images[i].Allowed, Signatures: []ReceiptSignature{}, Referrers: image.referrers,
	}
	for _, verdict := range answer.Verdicts {
		for _, s := range verdict.Signatures {
			if !s.Accepted {
				continue
			}
			signature := ReceiptSignature{Digest: s.Digest}
			for _, c := range s.Chain {
				signature.Chain = append(signature.Chain, hexDigest(c.SHA256))
			}
			if len(s.Chain) > 0 {
				signature.Signer, signature.SHA256 = s.Chain[0].Subject, hexDigest(s.Chain[0].SHA256)
			}
			r.Signatures = append(r.Signatures, signature)
		}
	}
	return r
}

// commit gives the archive and its receipt their names. The receipt of an older
// archive goes first, and the new one comes last.
func (s *saving) commit(receipt *Receipt) error {
	name := s.o.File + ReceiptSuffix
	data, err := receipt.encode()
	if err != nil {
		return err
	}
	temp, err := writeTemporary(filepath.Dir(name), data)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"remove the old receipt", func() error { return removeIfThere(name) }},
		{"name the archive", s.archive.Commit},
		{"name the receipt", func() error { return os.Rename(temp, name) }},
	} {
		if s.step != nil {
			if err := s.step(step.name); err != nil {
				return err
			}
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return durable.Sync(filepath.Dir(name))
}

// writeTemporary writes and syncs a file that has no name of its own yet.
func writeTemporary(dir string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".tufoci-*.tmp")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Sync(filepath.Dir(name))
}
