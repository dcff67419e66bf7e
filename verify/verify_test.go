package verify_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	for name, edit := range map[string]func(o *verify.Options){
		"nothing to open with":  func(o *verify.Options) { o.Open = nil },
		"a negative number":     func(o *verify.Options) { o.MaxSignatures = -1 },
		"a negative wait":       func(o *verify.Options) { o.Wait = -1 },
		"an unknown wish":       func(o *verify.Options) { o.Require = []string{"sbom"} },
		"an unknown wish of it": func(o *verify.Options) { o.Trusts[0].Require = []string{"sbom"} },
		"an unknown level":      func(o *verify.Options) { o.Trusts[0].MinLevel = "lax" },
		"the level skip":        func(o *verify.Options) { o.Trusts[0].MinLevel = "skip" },
		"no client":             func(o *verify.Options) { o.Trusts[0].Client = nil },
		"one name twice":        func(o *verify.Options) { o.Trusts = append(o.Trusts, o.Trusts[0]) },
	} {
		o := w.options()
		edit(&o)
		if v, err := verify.New(o); err == nil {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// What an image is called is said of layouts and archives, and only of them.
func TestNames(t *testing.T) {
	t.Parallel()
	w, image := good(t, layout)
	w.publish()
	v := must(verify.New(w.options()))
	inLayout, as := w.image(":1.0")
	inRegistry := must(ociremote.ParseImage(w.registry.Host() + "/" + repository + ":1.0"))
	bare := *as
	bare.Tag = ""
	for name, r := range map[string]*verify.Result{
		"a layout without a name":   v.Image(t.Context(), inLayout, nil),
		"a layout as a layout":      v.Image(t.Context(), inLayout, &inLayout),
		"a layout as a repository":  v.Image(t.Context(), inLayout, &bare),
		"an image in a registry as": v.Image(t.Context(), inRegistry, as),
	} {
		if !errors.Is(r.Err, verify.ErrNoName) || r.Verdicts != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
	// The digest that it is said to have is one that is checked.
	other := must(ociremote.ParseImage(as.Name() + "@" + w.push("other", "other").Digest.String()))
	if r := v.Image(t.Context(), inLayout, &other); !errors.Is(r.Err, verify.ErrDiffers) {
		t.Errorf("another digest: %v", r.Err)
	}
	w.entry.Require = []string{trust.RequireSignature}
	if r := must(verify.New(w.options())).Image(t.Context(), inLayout, &other); !errors.Is(r.Err, verify.ErrDiffers) {
		t.Errorf("another digest where no entry is required: %v", r.Err)
	}
	same := must(ociremote.ParseImage(as.Name() + ":1.0@" + image.Digest.String()))
	if r := v.Image(t.Context(), inLayout, &same); r.Err != nil || r.As.Tag != "1.0" || r.Image.Kind != ociremote.KindLayout {
		t.Errorf("tag and digest: %v", r.Err)
	}
}

// Require of the options only adds.
func TestRequireAdds(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	unsigned(w)
	w.publish()
	for _, tt := range []struct {
		trust, added []string
		want         error
	}{
		{nil, nil, verify.ErrNoSignature},
		{[]string{"mapping"}, nil, nil},
		{[]string{"mapping"}, []string{"signature"}, verify.ErrNoSignature},
		{nil, []string{"mapping"}, verify.ErrNoSignature},
		{[]string{"mapping", "signature"}, []string{"mapping"}, verify.ErrNoSignature},
	} {
		w.entry.Require = tt.trust
		if r := w.verify(":1.0", func(o *verify.Options) { o.Require = tt.added }); !errors.Is(r.Err, tt.want) {
			t.Errorf("%v and %v: got %v, want %v", tt.trust, tt.added, r.Err, tt.want)
		}
	}
}

// The level that is told is that of the laxest trust, whichever comes first.
func TestLevelOfTwoTrusts(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.publish()
	lax := w.entry
	lax.Name, lax.MinLevel = "lax", "permissive"
	other := newWorld(t, withReferrers)
	other.repo.AddTarget("notation/x509/ca/acme/acme.pem", w.ca.PEM())
	image := must(w.images.Resolve(w.ctx(), "1.0"))
	other.mapped(image, "1.0")
	other.level("permissive")
	other.publish()
	for _, entries := range [][]trust.Entry{{w.entry, lax}, {lax, w.entry}} {
		o := w.options(entries...)
		for i := range o.Trusts {
			if o.Trusts[i].Name == "lax" {
				o.Trusts[i].Client = other.client(func(*trust.Options) {})
			}
		}
		ref, _ := w.image(":1.0")
		if r := must(verify.New(o)).Image(t.Context(), ref, nil); r.Err != nil || r.Level != "permissive" {
			t.Errorf("level %q, %v", r.Level, r.Err)
		}
	}
}

// Without a network the state decides, about layouts and archives.
func TestOffline(t *testing.T) {
	t.Parallel()
	for _, at := range []place{layout, archive} {
		w, image := good(t, at)
		w.publish()
		if r := w.verify(":1.0"); r.Err != nil {
			t.Fatal(r.Err)
		}
		w.registry.Reset()
		offline := func(o *verify.Options) { o.Offline = true }
		r := w.verify(":1.0", offline)
		if r.Err != nil || r.Digest != image.Digest || r.Verdicts[0].Status.Source != "state" {
			t.Errorf("%s: %v", at, r.Err)
		}
		w.sign(w.push("evil", "1.0"))
		if r := w.verify(":1.0", offline); !errors.Is(r.Err, verify.ErrDiffers) {
			t.Errorf("%s: %v", at, r.Err)
		}
		if got := w.registry.Requests(); len(w.requests()) != 0 {
			t.Errorf("%s: requests %v", at, got)
		}
	}
}

// A trust that is stale within its limit vouches, and says so.
func TestStale(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.entry.MaxStale = time.Hour
	w.repo.SetExpiry("timestamp", time.Now().Add(-time.Minute))
	w.publish()
	r := w.verify(":1.0")
	if r.Err != nil || !r.Verdicts[0].Status.Stale || len(r.Verdicts[0].Status.Warnings) == 0 {
		t.Errorf("%v: %+v", r.Err, r.Verdicts)
	}
}

// Wait bridges the time until the trust knows an image, and no other refusal.
func TestWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	w.publish()
	image := w.push("hello", "1.0")
	done := make(chan *verify.Result)
	waiting := func(o *verify.Options) { o.Wait = 20 * time.Second }
	o := w.options()
	waiting(&o)
	v := must(verify.New(o))
	ref, _ := w.image(":1.0")
	w.registry.Reset()
	go func() { done <- v.Image(t.Context(), ref, nil) }()
	for len(w.requests()) < 3 { // until the second try has begun
		select {
		case r := <-done:
			t.Fatalf("does not wait: %v", r.Err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	w.mapped(image, "1.0")
	w.sign(image)
	w.publish()
	if r := <-done; r.Err != nil || len(r.Verdicts) != 1 {
		t.Errorf("the image came, but %v", r.Err)
	}

	start := time.Now()
	w.sign(w.push("evil", "1.0"))
	if r := w.verify(":1.0", waiting); !errors.Is(r.Err, verify.ErrDiffers) || time.Since(start) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(start), r.Err)
	}
	if r := w.verify(":2.0", func(o *verify.Options) { o.Wait = 300 * time.Millisecond }); !errors.Is(r.Err, verify.ErrImageNotFound) {
		t.Errorf("no image: %v", r.Err)
	}
	w.push("late", "3.0")
	w.registry.Reset()
	if r := w.verify(":3.0", func(o *verify.Options) { o.Wait = 2 * time.Second }); !errors.Is(r.Err, verify.ErrUnmapped) {
		t.Errorf("in vain: %v", r.Err)
	}
	// At least two tries, however slow the machine, and at most five: the pauses double.
	if n := len(w.requests()); n < 4 || n > 16 {
		t.Errorf("%d requests in two seconds", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o = w.options()
	waiting(&o)
	ref, _ = w.image(":3.0")
	go func() { done <- must(verify.New(o)).Image(ctx, ref, nil) }()
	time.Sleep(20 * time.Millisecond)
	cancel()
	select {
	case r := <-done:
		if r.Err == nil {
			t.Error("verified by nobody")
		}
	case <-time.After(10 * time.Second):
		t.Error("waits on after the end of its context")
	}
}

// What no CRL of the trust covers, the network is asked about, if it may be. It
// overrides nothing that the trust delivers.
func TestOnline(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		served func(w *world, leaf *notationsign.Identity) []byte // nil: nothing
		trust  func(w *world, leaf *notationsign.Identity)
		off    bool
		asked  bool
		want   error
	}{
		"good": {
			served: func(w *world, _ *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 1}))
			},
			asked: true,
		},
		"revoked": {
			served: func(w *world, leaf *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 1, Revoked: leaf.Chain[:1]}))
			},
			asked: true, want: verify.ErrRevoked,
		},
		"no answer": {asked: true, want: verify.ErrUntrusted},
		"not to be asked": {
			served: func(w *world, _ *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 1}))
			},
			off: true, want: verify.ErrUntrusted,
		},
		"covered by the trust": {
			trust: func(w *world, _ *notationsign.Identity) {
				w.crl("between", w.between, notationsign.CRLOptions{Number: 1})
			},
		},
		"revoked by the trust": {
			served: func(w *world, _ *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 9}))
			},
			trust: func(w *world, leaf *notationsign.Identity) { w.revoke(nil, leaf.Chain[0]) },
			want:  verify.ErrRevoked,
		},
		// The level goes on with the chain of a stranger, who could name any address.
		"of a stranger": {
			trust: func(w *world, leaf *notationsign.Identity) {
				w.level("audit")
				w.entry.MinLevel = "audit"
				w.anchor("ca", "acme", must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "another"})).Certificate)
			},
		},
		// What the trust has does not speak for the certificate: it does not hide that it
		// is revoked.
		"revoked, and a CRL of the trust that is of the future": {
			served: func(w *world, leaf *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 1, Revoked: leaf.Chain[:1]}))
			},
			trust: func(w *world, leaf *notationsign.Identity) {
				then := time.Now().Add(time.Hour)
				w.crl("between", w.between, notationsign.CRLOptions{Number: 2, ThisUpdate: then, NextUpdate: then.Add(time.Hour)}, leaf.Chain[0].CRLDistributionPoints...)
			},
			asked: true, want: verify.ErrRevoked,
		},
		"issuer revoked by the trust": {
			served: func(w *world, _ *notationsign.Identity) []byte {
				return must(w.between.CRL(notationsign.CRLOptions{Number: 9}))
			},
			trust: func(w *world, _ *notationsign.Identity) { w.revoke(nil, w.between.Certificate) },
			asked: true, want: verify.ErrRevoked,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withReferrers)
			var crl []byte
			asked := make(chan struct{}, 100)
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				asked <- struct{}{}
				if crl == nil {
					rw.WriteHeader(http.StatusNotFound)
					return
				}
				_, _ = rw.Write(crl)
			}))
			defer server.Close()
			leaf := byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{server.URL + "/a.crl"}}, notationsign.Options{})
			if tt.served != nil {
				crl = tt.served(w, leaf)
			}
			if tt.trust != nil {
				tt.trust(w, leaf)
			}
			w.publish()
			r := w.verify(":1.0", func(o *verify.Options) {
				if !tt.off {
					o.Online = server.Client()
				}
			})
			if !errors.Is(r.Err, tt.want) {
				t.Errorf("got %v, want %v", r.Err, tt.want)
			}
			if (len(asked) > 0) != tt.asked {
				t.Errorf("asked %d times", len(asked))
			}
		})
	}
}

// Envelopes go through parsers of others; none of them takes the rest down.
func TestStrangeEnvelopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	good := must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{}))
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.leaf.Chain[0].Raw})
	for _, e := range [][]byte{
		[]byte("null"), []byte("{}"), []byte(`{"payload":null,"header":null}`), []byte(strings.Repeat("[", 100000)),
		good[:len(good)/2], block,
		{0xd2, 0x84},
		{0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0xf6, 0xf6},
		{0xff},
		[]byte(strings.Replace(string(good), `"protected":"`, `"protected":"e30`, 1)),
	} {
		for _, mediaType := range []string{notationsign.JWS, notationsign.COSE} {
			must(notationsign.Attach(w.ctx(), w.images, image, mediaType, e, w.leaf.Chain))
		}
	}
	w.publish()
	r := w.verify(":1.0")
	if !errors.Is(r.Err, verify.ErrEnvelope) || len(r.Verdicts[0].Signatures) != 20 {
		t.Errorf("%d: %v", len(r.Verdicts[0].Signatures), r.Err)
	}
	for _, s := range r.Verdicts[0].Signatures {
		if strings.Contains(s.Err.Error(), "cannot be parsed") {
			t.Errorf("a parser was stopped in its tracks: %v", s.Err)
		}
	}
	w.sign(image)
	if r := w.verify(":1.0"); r.Err != nil {
		t.Error(r.Err)
	}
}

// A parser that stops in its tracks stops one signature.
func TestPanic(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	s := &material.Set{Policy: &w.policy, Stores: map[material.StoreType]map[string][]*x509.Certificate{"ca": {"acme": {w.ca.Certificate}}}}
	m := verify.NewMaterial(s, &material.Revocations{}, time.Now)
	envelope := must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{}))
	if err := verify.Examine(t.Context(), m, image, notationsign.JWS, envelope); err != nil {
		t.Fatal(err)
	}
	s.Stores["ca"]["acme"] = []*x509.Certificate{nil}
	if err := verify.Examine(t.Context(), m, image, notationsign.JWS, envelope); !errors.Is(err, verify.ErrEnvelope) {
		t.Errorf("got %v", err)
	}
}

// A refusal says what it rests on, in one line.
func TestRefusalError(t *testing.T) {
	t.Parallel()
	cause := errors.New("why")
	e := &verify.Refusal{
		Kind: verify.ErrUnmapped, Name: "images/a:1", Role: "targets", RoleVersion: 3, Signed: "x", Served: "y",
		Reason: "reason", Time: "then", Detail: "detail", Err: cause,
	}
	if want := "no signed entry: images/a:1 in targets v3: signed x, served y at then: reason: detail: why"; e.Error() != want {
		t.Errorf("got %q", e.Error())
	}
	if !errors.Is(e, verify.ErrNotVouched) || !errors.Is(e, cause) || errors.Is(e, verify.ErrLevel) {
		t.Error("kinds")
	}
	if errors.Is(&verify.Refusal{Kind: verify.ErrDiffers}, verify.ErrNotVouched) {
		t.Error("what differs is not only not vouched for")
	}
}
