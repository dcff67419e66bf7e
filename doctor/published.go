package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// Names of the checks of what is published.
const (
	namePublished = "published"
	nameFresh     = "freshness"
	nameBase      = "base"
)

// checkPublished verifies what is published, and says how long it lasts.
func checkPublished(ctx context.Context, r *Report, o Options) error {
	if o.Pin == nil {
		r.skip(AreaRepository, "no root is pinned, so nothing of it can be believed: `tufoci trust add`, or --root", namePublished, nameFresh)
		return nil
	}
	monitor := publish.MonitorOptions{Channel: o.Channel, Seen: o.Seen, Now: o.Now, Warn: o.Warn}
	var base *metadata.Head
	if o.Workspace != nil {
		var err error
		if base, err = o.Workspace.Base(); err != nil {
			return err
		}
		monitor.Base = base
	}
	health, err := publish.Monitor(ctx, o.Pin, o.Repository, monitor)
	if err != nil {
		r.add(checkUnread(err, o.Workspace != nil && base == nil))
		return nil
	}
	r.add(Check{Area: AreaRepository, Name: namePublished, Status: OK, Found: fmt.Sprintf("%s verifies from the pinned root", health.Digest)}, checkFresh(health))
	if base != nil {
		r.add(checkBase(base, health))
	}
	for _, role := range []string{"timestamp", "snapshot"} {
		data, err := health.View.Metadata(ctx, role)
		if err != nil {
			return err
		}
		r.add(checkSigned(role, data, o.Now()))
	}
	return nil
}

// checkUnread says why nothing that is published could be verified.
func checkUnread(err error, unpublished bool) Check {
	c := Check{Area: AreaRepository, Name: namePublished}
	switch {
	case unpublished && errors.Is(err, ociremote.ErrNotFound):
		c.Status, c.Found, c.Next = OK, "nothing is published yet", "`tufoci publish`, when all is signed"
	case errors.Is(err, ociremote.ErrNotFound):
		c.Status, c.Found, c.Err = Fail, "there is no trust repository under this name", err
		c.Next = "compare the reference with the one that the publisher gives"
	default:
		c.Status, c.Found, c.Err = Fail, err.Error(), err
		c.Means = "consumers can do nothing with it"
		c.Next = "`tufoci check` says the same with its exit code; tell the publisher"
	}
	return c
}

func checkFresh(h *publish.Health) Check {
	c := Check{Area: AreaRepository, Name: nameFresh, Status: OK}
	var expired, short []string
	for _, role := range h.Roles {
		name := fmt.Sprintf("%s v%d", role.Role, role.Version)
		switch {
		case role.Left <= 0:
			expired = append(expired, name)
		case role.Short():
			short = append(short, fmt.Sprintf("%s has %v left of %v", name, role.Left.Round(time.Minute), role.Floor))
		}
	}
	switch {
	case len(expired) > 0:
		c.Status, c.Found = Fail, strings.Join(expired, ", ")+" expired"
		c.Err = fmt.Errorf("%w: %s", ErrState, c.Found)
		c.Means = "consumers refuse it"
		c.Next = "a holder of its keys: `tufoci refresh`; what people sign: `tufoci publish`"
	case len(short) > 0:
		c.Status, c.Found = Warn, strings.Join(short, ", ")
		c.Means = "whoever renews it has not, or not in time"
		c.Next = "`tufoci check` watches over it"
	default:
		c.Found = fmt.Sprintf("all %d roles have as much life left as they should", len(h.Roles))
	}
	return c
}

// checkBase says whether the workspace has what is published.
func checkBase(base *metadata.Head, h *publish.Health) Check {
	c := Check{Area: AreaWorkspace, Name: nameBase, Status: OK, Found: "the workspace has what is published"}
	if base.Digest != h.Digest.String() {
		c.Found = fmt.Sprintf("others have published since: %s here, %s there", base.Digest, h.Digest)
		c.Means = "the next publish takes it over, where it is not of a role that is staged here"
	}
	return c
}
