package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

type initOptions struct {
	keys        assignments
	thresholds  assignments
	expires     assignments
	renewWithin assignments
	profile     string
	images      string
	layout      string
	noSpareKey  bool
	from        initFromOptions
}

type initResult struct {
	document
	Workspace  string       `json:"workspace"`
	Repository string       `json:"repository"`
	Channel    string       `json:"channel"`
	Profile    string       `json:"profile"`
	Roles      []roleStatus `json:"roles"`
}

func (a *app) newInit() *cobra.Command {
	o := initOptions{
		keys:        assignments{form: "ROLE=KEY"},
		thresholds:  assignments{form: "ROLE=N"},
		expires:     assignments{form: "ROLE=DURATION"},
		renewWithin: assignments{form: "ROLE=DURATION"},
	}
	cmd := &cobra.Command{
		Use:   "init REPO",
		Short: "Make a new workspace for the trust repository REPO",
		Long: `Make a new workspace: tufoci.yaml and the directory .tufoci, with the first,
unsigned version of every role. Nothing is sent.

The profile dev makes one key, encrypted with TUFOCI_PASSPHRASE, that signs
every role; standard and strict leave the keys to you.

--from makes the workspace of a repository that exists, verified from --root or
from the trust that has it: the one in REPO itself (REPO can then be left out),
whose workspace was lost, or one from elsewhere, in a registry, a layout, an
archive, a directory or on a web server. Its metadata is taken byte for byte and
its chain of roots goes on, so that clients keep the root that they have; what
is next is published to REPO. tufoci.yaml gets its keys and periods; --key says
where private keys are, each of a key that the role has.

--from dct:PATH makes a new workspace, with roots and keys of its own, in which
the tags are staged that Docker Content Trust has signed. PATH is a directory
with the metadata of Notary v1, as docker keeps it in ~/.docker/trust/tuf,
verified from --root or --root-key; or a file with what docker trust inspect
prints. A tag is staged if the registry serves exactly what was signed.`,
		Example: `  tufoci init localhost:5000/trust/tuf --profile dev -y
  tufoci init registry.acme.io/trust/tuf --threshold root=2
  tufoci init --from registry.acme.io/trust/tuf --root 1.root.json --key timestamp=online.pem
  tufoci init registry.acme.io/trust/tuf --from https://tuf.acme.io/metadata/ --root 1.root.json
  tufoci init registry.acme.io/trust/tuf --from dct:inspect.json`,
	}
	cmd.Args = func(_ *cobra.Command, args []string) error { return o.check(cmd, args) }
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.profile == metadata.ProfileDev {
			if err := a.confirm(ctx, "profile dev keeps every role, root too, under one key. Go on?"); err != nil {
				return err
			}
		}
		if path, ok := o.from.dct(); ok {
			r, err := a.runInitDCT(ctx, path, args[0], o)
			return printAlso(a, r, err)
		}
		if o.from.source != "" {
			r, err := a.runInitFrom(ctx, args, o)
			return printAlso(a, r, err)
		}
		r, err := a.runInit(ctx, args[0], o)
		return printAlso(a, r, err)
	})
	o.from.add(cmd)
	f := cmd.Flags()
	f.Var(&o.keys, "key", "key name or URI of a role (several times)")
	f.Var(&o.thresholds, "threshold", "signatures that a role needs")
	f.Var(&o.expires, "expires", "life of a new version of a role")
	f.Var(&o.renewWithin, "renew-within", "remaining life below which a role is signed again")
	f.StringVar(&o.profile, "profile", "standard", "defaults: dev, standard or strict")
	f.StringVar(&o.images, "images", "", "canonical `HOST` of the images (default: the host of REPO)")
	f.StringVar(&o.layout, "layout", "", "`LAYOUT` of the bundle, for registries that need it: default, nodata or gitlab")
	f.BoolVar(&o.noSpareKey, "no-spare-key", false, "let root have no more keys than its threshold; recorded in tufoci.yaml")
	return cmd
}

func (o *initOptions) check(cmd *cobra.Command, args []string) error {
	if _, isDCT := o.from.dct(); len(args) > 1 || len(args) == 0 && (o.from.source == "" || isDCT) {
		return usagef("give one REPO, or --from a repository in a registry")
	}
	return o.from.check(cmd)
}

func (a *app) runInit(ctx context.Context, repository string, o initOptions) (*initResult, error) {
	ref, err := homeReference(repository)
	if err != nil {
		return nil, err
	}
	opts, err := a.initLibraryOptions(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	w, err := metadata.Init(a.global.workspace, opts)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	st, err := w.Status()
	if err != nil {
		return nil, err
	}
	return &initResult{
		Workspace:  w.Dir(),
		Repository: st.Repository,
		Channel:    st.Channel,
		Profile:    o.profile,
		Roles:      roleStatuses(st.Roles),
	}, nil
}

// homeReference reads the repository and the channel to which a workspace publishes.
func homeReference(repository string) (ociremote.Reference, error) {
	ref, err := ociremote.ParseReference(repository)
	if err == nil && (ref.Kind != ociremote.KindRegistry || ref.Digest != "") {
		err = usagef("%s: want a repository of a registry, HOST/REPOSITORY[:TAG]", repository)
	}
	return ref, err
}

func (a *app) initLibraryOptions(ctx context.Context, ref ociremote.Reference, o initOptions) (metadata.InitOptions, error) {
	opts := metadata.InitOptions{
		Repository: ref.Host + "/" + ref.Repository,
		Channel:    ref.Tag,
		Images:     o.images,
		Layout:     o.layout,
		Profile:    o.profile,
		NoSpareKey: o.noSpareKey,
		Keys:       map[string][]string{},
		Thresholds: map[string]int{},
		Now:        a.world.Now,
		Passphrase: a.newPassphrase(ctx),
		Env:        a.world.LookupEnv,
		Opener:     a.opener,
	}
	for _, kv := range o.keys.values {
		opts.Keys[kv[0]] = append(opts.Keys[kv[0]], kv[1])
	}
	for _, kv := range o.thresholds.values {
		n, err := strconv.Atoi(kv[1])
		if err != nil || n < 1 {
			return opts, usagef("--threshold %s=%s: want a number above 0", kv[0], kv[1])
		}
		opts.Thresholds[kv[0]] = n
	}
	var err error
	if opts.Expires, err = o.expires.spans(); err != nil {
		return opts, err
	}
	opts.RenewWithin, err = o.renewWithin.spans()
	return opts, err
}

func (r *initResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "✓ workspace for %s:%s, profile %s\n", r.Repository, r.Channel, r.Profile)
	writeRoleStatuses(w, r.Roles, a.world.Now())
}
