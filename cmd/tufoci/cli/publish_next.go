package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// publishNext is what a publish does next to images, once home has moved.
type publishNext struct {
	o      *publishOptions
	beside *besidePlan
	// signed are the images, images/…, whose entries this workspace is about to publish.
	signed []string
}

// homeOf is the trust repository of a workspace, with its channel.
func homeOf(w *metadata.Workspace) (ociremote.Reference, error) {
	ref, err := ociremote.ParseReference(w.Config().Repository)
	if err == nil && w.Config().Channel != "" {
		ref.Tag = w.Config().Channel
	}
	return ref, err
}

// planNext checks what is asked for before anything is published.
func (a *app) planNext(w *metadata.Workspace, home ociremote.Reference, clients *clients, o *publishOptions) (*publishNext, error) {
	beside, err := o.beside.plan(home, w.Config(), clients)
	if err != nil {
		return nil, err
	}
	n := &publishNext{o: o, beside: beside}
	if !o.attach {
		return n, nil
	}
	if _, err := canonicalHost(w); err != nil {
		return nil, err
	}
	staged, err := w.Images(metadata.ImageFilter{Staged: true})
	if err != nil {
		return nil, err
	}
	for _, image := range staged {
		n.signed = append(n.signed, image.Path)
	}
	return n, nil
}

// carryOut keeps the copies, then the attachments. With a dry run it says what
// would be done.
func (n *publishNext) carryOut(ctx context.Context, a *app, w *metadata.Workspace, res *publish.Result, r *publishResult) error {
	var errs [2]error
	r.Beside, errs[0] = a.keepBeside(ctx, res.View, n.beside, publish.BesideOptions{Concurrency: n.o.concurrency, DryRun: n.o.dryRun})
	switch {
	case n.o.dryRun:
		r.Attached = n.planned()
	case n.o.attach:
		r.Attached, errs[1] = n.renew(ctx, a, w, res)
	}
	err := errors.Join(errs[:]...)
	if err != nil {
		// Once more it has to be told what tufoci.yaml does not say.
		for _, entry := range n.o.beside.entries {
			a.subject.flags += " --beside " + shellWord(entry)
		}
		if n.o.attach {
			a.subject.flags += " --attach"
		}
	}
	return err
}

// renew renews attachments. After a publish only those are looked at that what has
// changed can concern; without one all of them, since an earlier run may have failed.
func (n *publishNext) renew(ctx context.Context, a *app, w *metadata.Workspace, res *publish.Result) ([]attachment, error) {
	var changed []string
	if !res.Unchanged {
		changed = []string{}
		for _, c := range res.Plan.Roles {
			if c.Role != "snapshot" && c.Role != "timestamp" {
				changed = append(changed, c.Role)
			}
		}
	}
	images, err := publish.Renewals(ctx, res.View, publish.RenewalOptions{Host: n.beside.host, Changed: changed, Signed: n.signed})
	if err != nil {
		return []attachment{}, err
	}
	results := publish.Attach(ctx, res.View, images, n.beside.clients.openWritable, publish.AttachOptions{
		Layout: ociremote.Layout(w.Config().Layout), Concurrency: n.o.concurrency, Now: a.world.Now, Warn: a.warn,
	})
	results = slices.DeleteFunc(results, func(r publish.AttachResult) bool { return r.Skipped })
	list, errs := a.attachments(results)
	late := &lateError{what: "attachments", of: len(results)}
	for _, err := range errs {
		late.add(err)
	}
	return list, late.orNil()
}

// planned names what would newly be attached to.
func (n *publishNext) planned() []attachment {
	list := []attachment{}
	if n.o.attach {
		for _, path := range n.signed {
			list = append(list, newAttachment(publish.AttachResult{}, path))
		}
	}
	return list
}

func writePlannedAttachments(w io.Writer, attached []attachment) {
	for _, i := range attached {
		fmt.Fprintf(w, "would attach to the image of %s\n", printable(i.Image))
	}
}
