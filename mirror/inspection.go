package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// inspectors is how many images of an archive are verified at the same time.
const inspectors = 8

// inspection is a delivery that was verified from nothing but a root.
type inspection struct {
	*delivery
	client   *trust.Client
	view     *trust.View
	answers  []*verify.Result // of the images, in their order
	allowed  []string         // why one was let pass: allowedRevoked, allowedUnmapped, ""
	validity *Validity
}

// Why an image is copied although it does not verify.
const (
	allowedRevoked  = "revoked"
	allowedUnmapped = "unmapped"
)

// inspector says how a delivery is verified.
type inspector struct {
	tag   string
	root  []byte
	entry trust.Entry
	// revoked and unmapped images are let pass.
	revoked, unmapped bool
	now               func() time.Time
	warn              func(string)
}

// inspect verifies an archive as a client does that has its root and has seen nothing:
// its metadata, all files of it, each image by its entry and signature, and every byte
// of them and of what refers to them.
func (n *inspector) inspect(ctx context.Context, repo ociremote.Repository) (*inspection, error) {
	client, err := trust.New(n.root, trust.Options{
		Source: trust.RepositorySource(repo, n.tag), Now: n.now, MaxStale: n.entry.MaxStale, MinTimestamp: n.entry.MinTimestamp, Warn: n.warn,
	})
	if err != nil {
		return nil, err
	}
	in := &inspection{client: client, validity: &Validity{MaxStale: n.entry.MaxStale}}
	if in.view, err = client.Refresh(ctx); err != nil {
		return nil, err
	}
	if _, err := in.view.Files(ctx); err != nil {
		return nil, err
	}
	if err := in.validity.addMetadata(ctx, in.view); err != nil {
		return nil, err
	}
	if in.delivery, err = openDelivery(ctx, repo, n.tag); err != nil {
		return nil, err
	}
	if err := n.verify(ctx, in); err != nil {
		return nil, err
	}
	return in, in.checkContent(ctx)
}

// verify verifies the images. What their names in the index claim has to be signed.
// The gravest refusal is the error.
func (n *inspector) verify(ctx context.Context, in *inspection) error {
	v, err := verify.New(verify.Options{
		Trusts: []verify.Trust{{Entry: n.entry, Client: in.client}}, Now: n.now,
		Open: in.open,
	})
	if err != nil {
		return err
	}
	in.answers, in.allowed = make([]*verify.Result, len(in.images)), make([]string, len(in.images))
	errs := make([]error, len(in.images))
	var group errgroup.Group
	group.SetLimit(inspectors)
	for i, image := range in.images {
		group.Go(func() error {
			in.answers[i] = v.Image(ctx, image.reference(), nil)
			in.allowed[i], errs[i] = n.judge(in.answers[i].Err)
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", image.reference(), errs[i])
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, image := range in.images {
		in.validity.addImage(image.reference().String(), in.answers[i])
		for _, verdict := range in.answers[i].Verdicts {
			for _, m := range verdict.Mappings {
				image.index = cmp.Or(image.index, m.Index)
			}
		}
	}
	return verify.Gravest(errs...)
}

// judge lets an image pass that was refused for what is allowed.
func (n *inspector) judge(err error) (allowed string, _ error) {
	switch {
	case n.revoked && errors.Is(err, verify.ErrRevoked):
		return allowedRevoked, nil
	case n.unmapped && errors.Is(err, verify.ErrUnmapped):
		return allowedUnmapped, nil
	}
	return "", err
}
