package mirror

import (
	"context"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// RootEntry says what images need where nobody has pinned a trust, and there is
// nothing but a root: a signed entry, and a signature if the repository has a policy
// for that; require adds to it. Its scopes are the hosts of the images, and whatever
// the policy speaks of: nobody has limited it.
func RootEntry(ctx context.Context, view *trust.View, images []Image, require []string) (trust.Entry, error) {
	entry := trust.Entry{Name: "root", Source: view.Status().SourceRef, Require: append([]string{trust.RequireMapping}, require...)}
	scopes := map[string]bool{}
	for _, image := range images {
		host, _, _ := strings.Cut(image.Name, "/")
		scopes[host+"/**"] = true
	}
	set, err := verify.ReadSet(ctx, view)
	if err != nil {
		return entry, err
	}
	if set.Policy != nil {
		entry.Require = append(entry.Require, trust.RequireSignature)
		for _, statement := range set.Policy.TrustPolicies {
			for _, scope := range statement.RegistryScopes {
				scopes[scope] = true
			}
		}
	}
	delete(scopes, "*") // of what image targets name
	for text := range scopes {
		scope, err := trust.ParseScope(text)
		if err != nil {
			return entry, err
		}
		entry.Scopes = append(entry.Scopes, scope)
	}
	slices.SortFunc(entry.Scopes, func(a, b trust.Scope) int { return strings.Compare(a.String(), b.String()) })
	slices.Sort(entry.Require)
	entry.Require = slices.Compact(entry.Require)
	return entry, nil
}
