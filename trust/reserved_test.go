package trust_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

var reservedNames = []string{
	"notation/trustpolicy.json", "notation/x509/ca/acme/ca.pem", "notation/x", "tufoci/x", "tufoci/a/b",
	"revocations.json", "revocations/a.json", "revocations/a/b.json",
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for _, name := range reservedNames {
		if !trust.Reserved(name) {
			t.Errorf("%q is not reserved", name)
		}
	}
	for _, name := range []string{"notations/x", "images/notation/x", "xnotation/x", "revocations.json.sig", "Notation/x", "sigstore/trusted_root.json", "tufoci.json"} {
		if trust.Reserved(name) {
			t.Errorf("%q is reserved", name)
		}
	}
}

// A delegated role or a hash bin that lists a reserved name changes nothing for
// anybody, in lookup and in enumeration, whatever delegates to it.
func TestReservedNamesOfDelegatedRolesAreIgnored(t *testing.T) {
	t.Parallel()
	holders := map[string]func(w *world) (role string){
		"by pattern": func(w *world) string {
			w.Delegate("targets", "team", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			return "team"
		},
		"terminating": func(w *world) string {
			w.Delegate("targets", "team", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, true)
			return "team"
		},
		"two levels down": func(w *world) string {
			w.Delegate("targets", "mid", []string{"notation/*", "*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			w.Delegate("mid", "team", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			return "team"
		},
		"without a delegation of the name": func(w *world) string {
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			return "team"
		},
		"called revocations, wider": func(w *world) string {
			w.Delegate("targets", "revocations", []string{"revocations/*", "*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			return "revocations"
		},
		"called revocations, deeper": func(w *world) string {
			w.Delegate("targets", "mid", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, false)
			w.Delegate("mid", "revocations", []string{"revocations/*"}, false)
			return "revocations"
		},
	}
	for name, delegate := range holders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{})
			role := delegate(w)
			for _, name := range reservedNames {
				w.AddTargetTo(role, name, []byte("evil"))
			}
			w.publish()
			view := w.mustRefresh()
			checkIgnored(t, view, role)
		})
	}
	t.Run("hash bins", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, tuftest.RepoOptions{})
		w.DelegateBins("targets", "images", 2)
		for _, bin := range []string{"images-0", "images-1"} {
			for _, name := range reservedNames {
				w.AddTargetTo(bin, name, []byte("evil"))
			}
		}
		w.publish()
		// Bins directly under targets match every name.
		w.Forge("targets", func(signed map[string]any) {
			d := signed["delegations"].(map[string]any)
			d["roles"].([]any)[0].(map[string]any)["paths"] = []any{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}
		})
		w.out()
		checkIgnored(t, w.mustRefresh(), "images-0")
	})
}

func checkIgnored(t *testing.T, view *trust.View, role string) {
	t.Helper()
	for _, name := range reservedNames {
		refused(t, lookup(t, view, name), trust.ErrTargetNotFound)
		_, _, err := view.Get(t.Context(), name)
		refused(t, err, trust.ErrTargetNotFound)
	}
	targets, err := view.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if trust.Reserved(target.Path) {
			t.Errorf("%q of %q is listed", target.Path, target.Role)
		}
	}
	warned := slices.ContainsFunc(view.Status().Warnings, func(s string) bool {
		return strings.Contains(s, `"`+role+`"`) && strings.Contains(s, "notation/trustpolicy.json")
	})
	if !warned {
		t.Errorf("no warning names role %q: %q", role, view.Status().Warnings)
	}
}

func TestReservedNamesOfTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"}, true)
	for _, name := range reservedNames {
		w.AddTarget(name, []byte("ours"))
		w.AddTargetTo("team", name, []byte("evil"))
	}
	w.publish()
	view := w.mustRefresh()
	for _, name := range reservedNames {
		if data, target, err := view.Get(t.Context(), name); err != nil || string(data) != "ours" || target.Role != "targets" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	targets, err := view.List(t.Context())
	if err != nil || len(targets) != len(reservedNames) {
		t.Errorf("listed %v, %v", targets, err)
	}
}

func TestRoleRevocationsMayDeny(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	// A role before it cannot take the names away, not even by terminating.
	w.Delegate("targets", "team", []string{"*/*"}, true)
	w.AddTargetTo("team", "revocations/x.json", []byte("evil"))
	w.Delegate("targets", "revocations", []string{"revocations/*"}, false)
	w.AddTargetTo("revocations", "revocations/x.json", []byte("deny"))
	w.AddTargetTo("revocations", "revocations/deep/x.json", []byte("evil"))
	w.AddTargetTo("revocations", "revocations.json", []byte("evil"))
	w.AddTargetTo("revocations", "notation/trustpolicy.json", []byte("evil"))
	w.publish()
	view := w.mustRefresh()
	if data, target, err := view.Get(t.Context(), "revocations/x.json"); err != nil || string(data) != "deny" || target.Role != "revocations" {
		t.Errorf("%q, %v", data, err)
	}
	for _, name := range []string{"revocations/deep/x.json", "revocations.json", "notation/trustpolicy.json"} {
		refused(t, lookup(t, view, name), trust.ErrTargetNotFound)
	}
	targets, err := view.List(t.Context())
	if err != nil || len(targets) != 1 || targets[0].Path != "revocations/x.json" || targets[0].Role != "revocations" {
		t.Errorf("listed %v, %v", targets, err)
	}
	// What targets lists itself goes before it.
	w.AddTarget("revocations/x.json", []byte("ours"))
	w.publish()
	if target, err := w.mustRefresh().Lookup(t.Context(), "revocations/x.json"); err != nil || target.Role != "targets" {
		t.Errorf("%v, %v", target, err)
	}
}

// That revocations cannot be read is an error, not "nothing is revoked".
func TestRoleRevocationsFailsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "revocations", []string{"revocations/*"}, false)
	w.AddTargetTo("revocations", "revocations/x.json", []byte("deny"))
	w.publish()
	w.SignAs("revocations", tuftest.NewKey(t, tuftest.Ed25519))
	w.out()
	view := w.mustRefresh()
	refused(t, lookup(t, view, "revocations/x.json"), trust.ErrThreshold)
	_, err := view.List(t.Context())
	refused(t, err, trust.ErrThreshold)
}
