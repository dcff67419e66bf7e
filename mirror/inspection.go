package mirror

import (
	"cmp"
	"context"
	"sync"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// inspection is a delivery that was verified from nothing but a root.
type inspection struct {
	*delivery
	view *trust.View
	// entry says what images need.
	entry trust.Entry
	// plan is what a copy of it would do.
	plan     *Result
	validity *Validity

	mu      sync.Mutex
	answers map[Image]*verify.Result
}

// inspect verifies an archive as a client does that has its root and has seen nothing:
// all files of its metadata, each image by its entry and signature, whatever the index
// of the archive calls it, and every byte of them and of what refers to them. The
// options say what is allowed, and where the delivery is to go: that it can go there
// is found out too; it may not be older than what was seen. Nothing is written.
func inspect(ctx context.Context, archive ociremote.Repository, root []byte, before trust.Seen, o Options) (*inspection, error) {
	client, err := trust.New(root, trust.Options{
		Source: trust.RepositorySource(archive, ociremote.DefaultChannel), Now: o.Now, Warn: o.Warn,
		MaxStale: o.Source.Entry.MaxStale, MinTimestamp: o.Source.Entry.MinTimestamp, Limits: o.Source.Entry.Limits,
	})
	if err != nil {
		return nil, err
	}
	in := &inspection{validity: &Validity{MaxStale: o.Source.Entry.MaxStale}, answers: map[Image]*verify.Result{}}
	if in.view, err = client.Refresh(ctx); err != nil {
		return nil, err
	}
	if err := before.Check(in.view, "the trust of the destination has seen a newer state than the archive holds"); err != nil {
		return nil, err
	}
	if err := in.validity.addMetadata(ctx, in.view); err != nil {
		return nil, err
	}
	if in.delivery, err = openDelivery(ctx, archive, ociremote.DefaultChannel); err != nil {
		return nil, err
	}
	if o.Source.Entry.Name == "" {
		entry, err := RootEntry(ctx, in.view, in.list(), o.Source.Entry.Require)
		if err != nil {
			return nil, err
		}
		entry.MaxStale = o.Source.Entry.MaxStale
		o.Source.Entry = entry
	}
	in.entry = o.Source.Entry
	if in.plan, err = Copy(ctx, in.planned(o)); err != nil {
		return nil, err
	}
	for _, image := range in.images {
		in.note(image)
	}
	return in, in.checkContent(ctx)
}

// options are those to copy the delivery.
func (in *inspection) options(o Options) Options {
	o.Source.View, o.Source.Entry, o.Source.Locate, o.Source.Open = in.view, in.entry, nil, in.open
	o.Images, o.Referrers = in.list(), true
	return o
}

// list are the images of the delivery.
func (in *inspection) list() []Image {
	images := make([]Image, len(in.images))
	for i, image := range in.images {
		images[i] = image.Image
	}
	return images
}

// planned are those to find out what a copy would do.
func (in *inspection) planned(o Options) Options {
	o = in.options(o)
	o.DryRun, o.Progress, o.Sending, o.BeforeTags, o.Warn = true, nil, nil, nil, nil
	o.accepted = func(image Image, answer *verify.Result) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.answers[image] = answer
	}
	return o
}

// note takes from the answer about an image until when it holds, and of which index it
// is a platform.
func (in *inspection) note(image *cargo) {
	answer := in.answers[image.Image]
	in.validity.addImage(image.String(), answer)
	for _, verdict := range answer.Verdicts {
		for _, m := range verdict.Mappings {
			image.index = cmp.Or(image.index, m.Index)
		}
	}
}
