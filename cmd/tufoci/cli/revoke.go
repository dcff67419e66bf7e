package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

func (a *app) newRevoke() *cobra.Command {
	return newGroup("revoke", "Revocations: what must not run, whatever else is signed",
		a.newRevokeImage(), a.newRevokeCertificate())
}

// revokeFlags are those of both commands.
type revokeFlags struct {
	registry registryFlags
	reason   string
	role     string
	exitCode bool
}

func (r *revokeFlags) add(cmd *cobra.Command) {
	r.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&r.reason, "reason", "", "`TEXT` that says why, for everybody to read")
	f.StringVar(&r.role, "role", "targets", "`ROLE` that lists the revocation: targets or revocations")
	addExitCodeFlag(cmd, &r.exitCode)
	_ = cmd.MarkFlagRequired("reason") // it exists
}

// path is the list that a role may write.
func (r *revokeFlags) path() (string, error) {
	switch r.role {
	case "targets":
		return material.RevocationsName, nil
	case publish.RevocationsRole:
		return publish.OnCallRevocations, nil
	}
	return "", usagef("--role %q: revocations are listed by targets, or by the role %s", r.role, publish.RevocationsRole)
}

type revokeResult struct {
	document
	Path         string               `json:"path"`
	Role         string               `json:"role"`
	Unchanged    bool                 `json:"unchanged"`
	Images       []revokedImage       `json:"images"`
	Certificates []revokedCertificate `json:"certificates"`
}

type revokedImage struct {
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
	Reason     string `json:"reason"`
	Time       moment `json:"time"`
}

type revokedCertificate struct {
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
	Time   moment `json:"time"`
}

// revocationTime is the time of a revocation: whole seconds.
func (a *app) revocationTime() time.Time { return a.world.Now().UTC().Truncate(time.Second) }

// revoke stages a list with more revocations.
func (a *app) revoke(ctx context.Context, w *metadata.Workspace, more *material.Revocations, flags *revokeFlags) (*revokeResult, error) {
	path, err := flags.path()
	if err != nil {
		return nil, err
	}
	current, err := a.revocations(ctx, w, path, flags)
	if err != nil {
		return nil, err
	}
	data, added, err := publish.AddRevocations(current, more)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := newRevokeResult(path, flags.role, added)
	if r.Unchanged {
		return r, nil
	}
	_, err = w.AddTarget(path, data, metadata.TargetOptions{Role: flags.role})
	return r, err
}

// revocations are the bytes of a list, staged or published; nil if there is none.
func (a *app) revocations(ctx context.Context, w *metadata.Workspace, path string, flags *revokeFlags) ([]byte, error) {
	targets, err := w.Targets(metadata.TargetFilter{Role: flags.role})
	if errors.Is(err, metadata.ErrNoRole) {
		return nil, usagef("there is no role %s yet: `tufoci role add %s --key NAME` makes it", flags.role, flags.role)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if t.Path == path {
			return a.newTargetReader(w, &flags.registry).read(ctx, t)
		}
	}
	return nil, nil
}

func newRevokeResult(path, role string, added *material.Revocations) *revokeResult {
	r := &revokeResult{Path: path, Role: role, Images: []revokedImage{}, Certificates: []revokedCertificate{}}
	for _, i := range added.Images {
		r.Images = append(r.Images, revokedImage{i.Digest, i.Repository, i.Reason, moment{i.Time}})
	}
	for _, c := range added.Certificates {
		r.Certificates = append(r.Certificates, revokedCertificate{c.SHA256, c.Reason, moment{c.Time}})
	}
	r.Unchanged = len(r.Images)+len(r.Certificates) == 0
	return r
}

func (r *revokeResult) text(w io.Writer, _ *app) {
	if r.Unchanged {
		fmt.Fprintf(w, "revoked already in %s; nothing is staged for it\n", r.Path)
	}
	for _, i := range r.Images {
		where := "everywhere"
		if i.Repository != "" {
			where = "in " + i.Repository
		}
		fmt.Fprintf(w, "+ %s: image %s, %s   staged in %s\n", r.Path, i.Digest, where, r.Role)
	}
	for _, c := range r.Certificates {
		fmt.Fprintf(w, "+ %s: certificate sha256:%s   staged in %s\n", r.Path, c.SHA256, r.Role)
	}
}
