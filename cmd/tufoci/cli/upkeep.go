package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// upkeepFlags are the flags of a command that keeps an eye on one repository: that
// of the workspace, of a trust, or any other with --root.
type upkeepFlags struct {
	registry registryFlags
	root     string
	beside   besideFlags
}

func (u *upkeepFlags) add(cmd *cobra.Command) {
	u.addHome(cmd)
	u.beside.add(cmd)
	u.beside.addFrom(cmd)
}

// addHome adds the flags of a command that looks at no copies.
func (u *upkeepFlags) addHome(cmd *cobra.Command) {
	u.registry.add(cmd, "")
	cmd.Flags().StringVar(&u.root, "root", "", "verify from the root in `FILE`, without a stored trust")
}

// besidePlan is where copies of it are kept.
func (u *upkeepFlags) besidePlan(k *kept) (*besidePlan, error) {
	var workspace *metadata.Config
	if k.ws != nil {
		workspace = k.ws.Config()
	}
	return u.beside.plan(k.ref, workspace, newClients(k.client, k.ref.Host))
}

// kept is the repository that is looked after.
type kept struct {
	ref    ociremote.Reference
	client *ociremote.Client
	root   []byte // the pin
	pin    *pin   // nil in a workspace
	ws     *metadata.Workspace
	base   *metadata.Head // what the workspace published last
}

// withKept finds the repository that args name, or that of the workspace without
// args, and lets do work on it. A workspace is only read.
func (a *app) withKept(ctx context.Context, args []string, u *upkeepFlags, do func(*kept) error) error {
	if len(args) > 0 {
		k, err := a.keptSource(ctx, args[0], u)
		if err != nil {
			return err
		}
		return do(k)
	}
	if u.root != "" {
		return usagef("--root goes with a REPO: a workspace has its own")
	}
	return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
		k, err := a.keptWorkspace(ctx, w, u)
		if err != nil {
			return err
		}
		return do(k)
	})
}

func (a *app) keptWorkspace(ctx context.Context, w *metadata.Workspace, u *upkeepFlags) (*kept, error) {
	ref, err := homeOf(w)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &u.registry)
	if err != nil {
		return nil, err
	}
	k := &kept{ref: ref, client: client, ws: w}
	if k.root, err = w.Root1(); err != nil {
		return nil, err
	}
	k.base, err = w.Base()
	return k, err
}

func (a *app) keptSource(ctx context.Context, arg string, u *upkeepFlags) (*kept, error) {
	p, err := a.find(ctx, arg, &readFlags{registry: u.registry, root: u.root})
	if err != nil {
		return nil, err
	}
	ref := p.source.Reference
	switch {
	case p.source.Kind != fetcher.KindRegistry && p.source.Kind != fetcher.KindLayout:
		return nil, usagef("%s: want a repository in a registry or in an OCI layout", p.source)
	case ref.Digest != "":
		return nil, usagef("%s: want a tag, which can move, and not a digest", p.source)
	case p.root == nil:
		return nil, &unpinnedError{source: p.source.String()}
	}
	return &kept{ref: ref, client: p.options.Client, root: p.root, pin: p}, nil
}

// seen is what the trust has seen of the repository, and the version that it asks for.
// A workspace has its base for that.
func (k *kept) seen(ctx context.Context) ([]trust.Seen, error) {
	if k.pin == nil {
		return nil, nil
	}
	seen, err := k.pin.seen(ctx)
	return []trust.Seen{{Timestamp: k.pin.options.MinTimestamp}, seen}, err
}

// keyNames are the names in tufoci.yaml of key ids, none without a workspace.
func (k *kept) keyNames() (map[string]string, error) {
	names := map[string]string{}
	if k.ws == nil {
		return names, nil
	}
	keys, err := k.ws.Keys()
	for _, key := range keys {
		names[key.ID] = key.Name
	}
	return names, err
}

// heldRule is one threshold, with the keys that count under names where these are
// known.
func heldRule(rule metadata.SignatureRule, names map[string]string) signatureRule {
	out := signatureRule{By: rule.By, Have: rule.Have, Need: rule.Need, Keys: keyRefs(rule.Keys)}
	for i := range out.Keys {
		out.Keys[i].Name = names[out.Keys[i].ID]
	}
	return out
}

func heldRules(rules []metadata.SignatureRule, names map[string]string) []signatureRule {
	out := make([]signatureRule, 0, len(rules))
	for _, r := range rules {
		out = append(out, heldRule(r, names))
	}
	return out
}

// seconds is a length of time in JSON.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// versionText is a role with its version, for lists.
func versionText(role string, version int64) string {
	return fmt.Sprintf("%s v%d", printable(role), version)
}
