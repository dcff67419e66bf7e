package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// client is one of the world's trust, with other options and without a state.
func (w *world) client(edit func(*trust.Options)) *trust.Client {
	w.t.Helper()
	o := trust.Options{
		Source: must(trust.ParseSource(w.registry.Host() + "/acme/trust")), Now: w.now,
		Client: must(ociremote.NewClient(ociremote.Options{Base: w.registry.Client().Transport})),
	}
	edit(&o)
	return must(trust.New(w.repo.RootBytes(), o))
}

// What notation-go gets speaks for the repository that was asked for, and for no
// other: to notation-go, "*" is every image there is.
func TestPolicyFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scopes     []string // of the statements, which are named by number
		repository string
		statement  string
		err        error
	}{
		"exact":                     {[]string{host + "/shop/api", "*"}, host + "/shop/api", "0", nil},
		"any, of one that is named": {[]string{host + "/shop/web", "*"}, host + "/shop/api", "1", nil},
		"any, of one that is not":   {[]string{"*"}, host + "/shop/web", "", verify.ErrNoStatement},
		"none":                      {[]string{host + "/shop/web"}, host + "/shop/api", "", verify.ErrNoStatement},
		"outside the scopes":        {[]string{"*"}, "registry.example.com/shop/api", "", trust.ErrNoScope},
		"no policy":                 {nil, host + "/shop/api", "", verify.ErrNoPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := good(t, withReferrers)
			statement := *w.statement()
			w.policy.TrustPolicies = nil
			for n, scope := range tt.scopes {
				statement.Name, statement.RegistryScopes = string(rune('0'+n)), []string{scope}
				w.policy.TrustPolicies = append(w.policy.TrustPolicies, statement)
			}
			w.publish()
			view := must(w.client(func(*trust.Options) {}).Refresh(w.ctx()))
			m := must(verify.Load(w.ctx(), view, w.entry.Scopes))
			policy, err := m.PolicyFor(w.ctx(), tt.repository)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if err := policy.Validate(); err != nil {
				t.Error(err)
			}
			const image = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
			if got, err := policy.GetApplicableTrustPolicy(tt.repository + image); err != nil || got.Name != tt.statement {
				t.Errorf("statement %+v, %v", got, err)
			}
			if got, err := policy.GetApplicableTrustPolicy("registry.example.com/shop/api" + image); err == nil {
				t.Errorf("it speaks for others: %+v", got)
			}
		})
	}
}

// Whether a repository is named is not known while a role is not: that is no "nothing for
// it".
func TestPolicyForWithoutARole(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.repo.Delegate("targets", "team", []string{"images/other/*"}, false)
	w.publish()
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(t, without(w.repo.Files(), "team.json"), tuftest.PackOptions{}))
	view := must(w.client(func(*trust.Options) {}).Refresh(w.ctx()))
	m := must(verify.Load(w.ctx(), view, w.entry.Scopes))
	if policy, err := m.PolicyFor(w.ctx(), host+"/shop/web"); err == nil || errors.Is(err, verify.ErrNoStatement) {
		t.Errorf("%+v, %v", policy, err)
	}
	if _, err := m.PolicyFor(w.ctx(), host+"/"+repository); err != nil {
		t.Errorf("one that targets names: %v", err)
	}
}

// A client that lets expired metadata pass, or moves the clock, vouches for nothing.
func TestUnverifiedTrust(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.publish()
	for name, edit := range map[string]func(*trust.Options){
		"expired metadata is allowed": func(o *trust.Options) { o.AllowExpired = true },
		"as of another time":          func(o *trust.Options) { o.AsOf = time.Now() },
	} {
		r := w.verify(":1.0", func(o *verify.Options) { o.Trusts[0].Client = w.client(edit) })
		if !errors.Is(r.Err, verify.ErrUnverifiedTrust) {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
	if r := w.verify(":1.0", func(o *verify.Options) { o.Trusts[0].Client = w.client(func(*trust.Options) {}) }); r.Err != nil {
		t.Error(r.Err)
	}
}
