package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

// imageFlags say for which images a trust speaks, and what it asks of them.
type imageFlags struct {
	scopes   []string
	maps     []string
	require  []string
	minLevel string
	also     bool
	fallback string
}

func (o *imageFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.scopes, "scope", nil, "speak for images in this `SCOPE`: HOST/REPOSITORY, HOST/PREFIX/*, HOST/** (several times)")
	f.StringArrayVar(&o.maps, "map", nil, "`MIRROR=ORIGINAL`: what is below the one is a copy of what is below the other (several times)")
	f.StringSliceVar(&o.require, "require", nil, "`WHAT` an image must have: mapping, signature (default both)")
	f.StringVar(&o.minLevel, "min-level", "", "weakest `LEVEL` of a trust policy that counts: strict (default), permissive, audit")
	f.BoolVar(&o.also, "also", false, "the scope may be that of another trust too; both must accept then")
	f.StringVar(&o.fallback, "fallback", fallbackCopies, "`WHAT` answers for images when the source cannot be reached: copies next to them, or none")
}

// change takes over the flags that were given.
func (o *imageFlags) change(e *trust.Entry, changed func(string) bool) error {
	if changed("scope") {
		e.Scopes = nil
		for _, s := range o.scopes {
			scope, err := trust.ParseScope(s)
			if err != nil {
				return err
			}
			e.Scopes = append(e.Scopes, scope)
		}
	}
	if changed("map") {
		e.Maps = nil
		for _, s := range o.maps {
			m, err := trust.ParseMap(s)
			if err != nil {
				return err
			}
			e.Maps = append(e.Maps, m)
		}
	}
	if changed("require") {
		e.Require = slices.Compact(slices.Sorted(slices.Values(o.require)))
	}
	if changed("min-level") {
		e.MinLevel = o.minLevel
	}
	if changed("also") {
		e.Also = o.also
	}
	if changed("fallback") {
		switch o.fallback {
		case fallbackCopies:
			e.Fallback = ""
		case trust.FallbackNone:
			e.Fallback = trust.FallbackNone
		default:
			return usagef("--fallback %s: want %s or %s", o.fallback, fallbackCopies, trust.FallbackNone)
		}
	}
	return nil
}
