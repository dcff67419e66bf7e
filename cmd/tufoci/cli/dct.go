package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/dct"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// dctPrefix starts a source that is the data of Docker Content Trust.
const dctPrefix = "dct:"

// dctOptions say what the data of Docker Content Trust is verified from.
type dctOptions struct {
	root         string
	rootKeys     []string
	allowExpired bool
	allPlatforms bool
	concurrency  int
}

func addRootKey(cmd *cobra.Command, keys *[]string) {
	cmd.Flags().StringArrayVar(keys, "root-key", nil, "verify Docker Content Trust from the root key with this `ID` (several times)")
}

// dctRepository is what Docker Content Trust says of a repository of images.
type dctRepository struct {
	Name     string        `json:"name"`
	Verified bool          `json:"verified"`
	Tags     int           `json:"tags"`
	Roles    []roleVersion `json:"roles"`
	Keys     []dctKey      `json:"keys"`
}

// dctKey is a key that Docker Content Trust lets sign.
type dctKey struct {
	Role string `json:"role"`
	ID   string `json:"id"`
	Type string `json:"type"`
}

// leftTag is a signed tag, or a delegation, that is not taken over.
type leftTag struct {
	Name   string `json:"name"`
	Role   string `json:"role"`
	Signed string `json:"signed"`
	Served string `json:"served"`
	Reason string `json:"reason"`
}

// dctImport is what there is to sign of Docker Content Trust, and what is left.
type dctImport struct {
	host     string // of all images
	verified bool
	from     []dctRepository
	left     []leftTag
	plan     *publish.ImportPlan
	claims   []publish.ClaimedTag
}

// readDCT reads and verifies what is at a path, without a network.
func (a *app) readDCT(path string, o *dctOptions) (*dctImport, error) {
	options := dct.Options{RootKeys: o.rootKeys, AllowExpired: o.allowExpired, Now: a.world.Now()}
	if o.root != "" {
		var err error
		if options.Root, err = readFile(o.root); err != nil {
			return nil, err
		}
	}
	a.subject.source = dctPrefix + path
	repositories, err := dct.Read(path, options)
	if err != nil {
		return nil, err
	}
	in := &dctImport{verified: true, from: []dctRepository{}, left: []leftTag{}}
	for _, r := range repositories {
		if err := in.add(r); err != nil {
			return nil, err
		}
		for _, warning := range r.Warnings {
			a.warn(warning)
		}
		if r.Roles == nil {
			a.warn(r.GUN + ": nobody has signed this list; a tag is taken if the registry serves the digest that is listed")
		}
	}
	return in, nil
}

// add notes the tags of one repository.
func (d *dctImport) add(r dct.Repository) error {
	host, repository, err := ociremote.ParseImageName(qualified(r.GUN))
	if err != nil {
		return err
	}
	if d.host != "" && d.host != host {
		return fmt.Errorf("%w: %s and %s: names in metadata stand for one host; take the repositories of each over by itself", publish.ErrImageHost, d.host, host)
	}
	d.host, d.verified = host, d.verified && r.Verified
	one := dctRepository{Name: host + "/" + repository, Verified: r.Verified, Tags: len(r.Tags), Roles: []roleVersion{}, Keys: []dctKey{}}
	for _, role := range r.Roles {
		one.Roles = append(one.Roles, roleVersion{Role: role.Name, Version: role.Version, Expires: moment{role.Expires}})
	}
	for _, k := range r.Keys {
		one.Keys = append(one.Keys, dctKey(k))
	}
	d.from = append(d.from, one)
	for _, l := range r.Left {
		d.left = append(d.left, leftTag{Name: tagged(repository, l.Name), Role: l.Role, Reason: l.Reason})
	}
	for _, t := range r.Tags {
		d.claim(ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: host, Repository: repository, Tag: t.Name}, t)
	}
	return nil
}

func (d *dctImport) claim(ref ociremote.ImageReference, t dct.Tag) {
	signed := digest.NewDigestFromEncoded(digest.SHA256, t.SHA256)
	if !ociremote.IsTag(t.Name) {
		d.left = append(d.left, leftTag{Name: tagged(ref.Repository, t.Name), Role: t.Role, Signed: signed.String(), Reason: "no tag of a registry has this name"})
		return
	}
	d.claims = append(d.claims, publish.ClaimedTag{Reference: ref, Digest: signed, Length: t.Length})
}

func tagged(repository, tag string) string {
	if tag == "" {
		return repository
	}
	return repository + ":" + tag
}

// qualified gives a name the host that docker takes it for: a first component without
// a dot or a port, that is not localhost, is part of a name on Docker Hub.
func qualified(name string) string {
	host, _, found := strings.Cut(name, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "docker.io/" + name
	}
	return name
}

// compare asks the registry for every tag. All have to be on host, the canonical one.
func (d *dctImport) compare(ctx context.Context, client *ociremote.Client, host string, o *dctOptions) error {
	if host != d.host {
		return fmt.Errorf("%w: Docker Content Trust speaks of %s, and names in metadata stand for %s", publish.ErrImageHost, d.host, host)
	}
	var err error
	d.plan, err = publish.PlanImport(ctx, imageOpener(client), d.claims, host, publish.FetchOptions{AllPlatforms: o.allPlatforms, Concurrency: o.concurrency})
	if err != nil {
		return err
	}
	for _, l := range d.plan.Left {
		d.left = append(d.left, leftTag{
			Name: tagged(l.Reference.Repository, l.Reference.Tag), Signed: l.Digest.String(), Served: l.Served.String(), Reason: l.Reason,
		})
	}
	return nil
}

// writeDCT prints what is left, and the keys that could be kept.
func writeDCT(w io.Writer, from []dctRepository, left []leftTag) {
	for _, l := range left {
		role := ""
		if l.Role != "" {
			role = " (" + l.Role + ")"
		}
		fmt.Fprintf(w, "? %s%s is left: %s\n", printable(l.Name), printable(role), printable(oneLine(l.Reason)))
	}
	rows := [][]string{}
	for _, r := range from {
		for _, k := range r.Keys {
			rows = append(rows, []string{r.Name, k.Role, shorten(k.ID, 12), k.Type})
		}
	}
	if len(rows) > 0 {
		table(w, []string{"DOCKER CONTENT TRUST", "ROLE", "KEY", "TYPE"}, rows)
	}
}
