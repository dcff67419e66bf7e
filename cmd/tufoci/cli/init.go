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
every role; standard and strict leave the keys to you.`,
		Example: `  tufoci init localhost:5000/trust/tuf --profile dev -y
  tufoci init registry.acme.io/trust/tuf --threshold root=2`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			r, err := a.runInit(ctx, args[0], o)
			if err != nil {
				return err
			}
			return a.print(r)
		}),
	}
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

func (a *app) runInit(ctx context.Context, repository string, o initOptions) (*initResult, error) {
	opts, err := a.initLibraryOptions(ctx, repository, o)
	if err != nil {
		return nil, err
	}
	if o.profile == "dev" {
		if err := a.confirm(ctx, "profile dev keeps every role, root too, under one key. Go on?"); err != nil {
			return nil, err
		}
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

func (a *app) initLibraryOptions(ctx context.Context, repository string, o initOptions) (metadata.InitOptions, error) {
	ref, err := ociremote.ParseReference(repository)
	if err != nil {
		return metadata.InitOptions{}, err
	}
	if ref.Kind != ociremote.KindRegistry || ref.Digest != "" {
		return metadata.InitOptions{}, usagef("%s: want a repository of a registry, HOST/REPOSITORY[:TAG]", repository)
	}
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
