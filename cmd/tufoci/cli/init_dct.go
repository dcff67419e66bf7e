package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// initDCTResult is a workspace with the tags that Docker Content Trust has signed.
type initDCTResult struct {
	document
	Verified   bool            `json:"verified"`
	Workspace  string          `json:"workspace"`
	Repository string          `json:"repository"`
	Channel    string          `json:"channel"`
	Profile    string          `json:"profile"`
	Images     string          `json:"images"`
	Roles      []roleStatus    `json:"roles"`
	From       []dctRepository `json:"from"`
	Staged     []imageEntry    `json:"staged"`
	Left       []leftTag       `json:"left"`
}

// runInitDCT makes a new workspace, with roots and keys of its own, in which the tags
// of Docker Content Trust are staged. Everything is read, verified and compared with
// the registry before anything is written.
func (a *app) runInitDCT(ctx context.Context, path, repository string, o initOptions) (*initDCTResult, error) {
	ref, err := homeReference(repository)
	if err != nil {
		return nil, err
	}
	flags := &dctOptions{root: o.from.flags.root, rootKeys: o.from.rootKeys, allowExpired: o.from.flags.allowExpired}
	in, err := a.readDCT(path, flags)
	if err != nil {
		return nil, err
	}
	o.images = first(o.images, in.host)
	opts, err := a.initLibraryOptions(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.from.flags.registry)
	if err != nil {
		return nil, err
	}
	host, err := ociremote.ParseImageHost(o.images)
	if err != nil {
		return nil, err
	}
	if err := in.compare(ctx, client, host, flags); err != nil {
		return nil, err
	}
	opts.Entries = in.plan.Entries(false)
	w, err := metadata.Init(a.global.workspace, opts)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	st, err := w.Status()
	if err != nil {
		return nil, err
	}
	staged, err := w.Images(metadata.ImageFilter{Staged: true})
	if err != nil {
		return nil, err
	}
	return &initDCTResult{
		Verified: in.verified, Workspace: w.Dir(), Repository: st.Repository, Channel: w.Config().Channel, Profile: o.profile, Images: o.images,
		Roles: roleStatuses(st.Roles), From: in.from, Staged: imageEntries(staged), Left: in.left,
	}, nil
}

func (r *initDCTResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "✓ workspace for %s:%s, profile %s, images of %s\n", r.Repository, r.Channel, r.Profile, r.Images)
	writeStagedImages(w, r.Staged)
	writeDCT(w, r.From, r.Left)
	writeRoleStatuses(w, r.Roles, a.world.Now())
}
