package cli

import (
	"context"
	"io"

	"github.com/tufoci/tufoci/metadata"
)

// imageAddDCTResult is what an edit stages of Docker Content Trust.
type imageAddDCTResult struct {
	document
	Verified  bool            `json:"verified"`
	From      []dctRepository `json:"from"`
	Added     []imageEntry    `json:"added"`
	Unchanged []imageEntry    `json:"unchanged"`
	Kept      []imageEntry    `json:"kept"`
	Left      []leftTag       `json:"left"`
}

// runImageAddDCT stages the tags that Docker Content Trust has signed. Nothing of it may
// have expired.
func (a *app) runImageAddDCT(ctx context.Context, w *metadata.Workspace, o *imageAddOptions) (*imageAddDCTResult, error) {
	host, err := canonicalHost(w)
	if err != nil {
		return nil, err
	}
	in, err := a.readDCT(o.fromDCT, &o.dct)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	o.dct.allPlatforms, o.dct.concurrency = o.allPlatforms, o.concurrency
	if err := in.compare(ctx, client, host, &o.dct); err != nil {
		return nil, err
	}
	change, err := w.AddImages(in.plan.Entries(o.replace), metadata.ImageOptions{Role: o.role})
	if err != nil {
		return nil, err
	}
	return &imageAddDCTResult{
		Verified: in.verified, From: in.from, Left: in.left,
		Added: imageEntries(change.Added), Unchanged: imageEntries(change.Unchanged), Kept: imageEntries(change.Kept),
	}, nil
}

func (r *imageAddDCTResult) text(w io.Writer, a *app) {
	(&imageChangeResult{Added: r.Added, Unchanged: r.Unchanged, Kept: r.Kept}).text(w, a)
	writeDCT(w, r.From, r.Left)
}
