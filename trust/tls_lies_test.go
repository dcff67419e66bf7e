package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// toldOverTLS reports which of the lies that need no TLS are told over it once more: a
// third of those that can be.
func toldOverTLS(i int, lie tuftest.Lie) bool { return i%3 == 0 && !lie.HTTP1 }

// tlsLies says what a client makes of the lies that are told over TLS. It makes of those
// that do not need it what it makes of them without.
func tlsLies(kind tuftest.Kind) map[string]lied {
	expected := wireLies(kind)
	transport := lied{typed: isTransport}
	timeout := lied{is: []error{fetcher.ErrTimeout}, patience: 100 * time.Millisecond}
	tooLarge := lied{is: []error{ociremote.ErrTooLarge}}
	// Which one comes first depends on who is faster.
	tooMuch := lied{typed: func(err error) bool { return isTransport(err) || errors.Is(err, ociremote.ErrTooLarge) }}
	empty := heardMalformed
	if kind == tuftest.OverHTTP {
		empty = lied{is: []error{trust.ErrMalformed}}
	}
	for _, group := range []struct {
		want  lied
		names string
	}{
		{empty, `h2-header-of-one-connection`},
		{tooLarge, `h2-body-of-an-exabyte`},
		{lied{is: []error{fetcher.ErrTooSlow}, patience: time.Minute}, `
			h2-body-that-stops h2-body-that-does-not-begin h2-body-of-one-byte-at-a-time h2-body-of-empty-frames h2-body-of-padding`},
		{timeout, `
			h2-reset-as-refused h2-goaway-and-nothing h2-goaway-without-end h2-connection-that-says-nothing
			h2-connection-that-says-its-settings h2-no-stream-allowed h2-pings-without-end h2-settings-without-end
			h2-frames-of-no-known-kind-without-end h2-priorities-without-end h2-windows-without-end`},
		{lied{typed: isTransport, is: []error{ociremote.ErrRedirect}}, `
			redirect-to-itself-in-the-clear redirect-to-another-host-in-the-clear blob-redirect-to-another-host-in-the-clear
			redirect-to-nowhere`},
		// What answers the second request is out of place.
		{lied{typed: isTransport, patience: timeout.patience}, `h2-continuations-that-are-empty`},
		// oras-go is asked first, and refuses what leaves TLS itself.
		{lied{typed: isTransport}, `token-redirected-in-the-clear token-redirected-to-another-host`},
		{lied{typed: isAuth}, `
			challenge-of-its-own-realm-in-the-clear challenge-twice challenge-of-a-realm-at-another-host
			challenge-of-a-realm-with-credentials challenge-of-a-realm-of-100-kilobytes`},
		{tooMuch, `h2-body-without-regard-to-windows`},
	} {
		for name := range strings.FieldsSeq(group.names) {
			expected[name] = group.want
		}
	}
	for _, lie := range tuftest.TLSWires() {
		if _, said := expected[lie.Name]; !said && lie.In(kind) && lie.Name != unheard {
			expected[lie.Name] = transport
		}
	}
	for i, lie := range tuftest.Wires() {
		if !toldOverTLS(i, lie) {
			delete(expected, lie.Name)
		}
	}
	return expected
}

// unheard is the lie that holds a client for half a minute, which is told to whole
// programs and to none here.
const unheard = "h2-pings-to-who-is-not-heard"

// TestLiesOverTLS tells what only HTTP/2 can tell, and what TLS makes another lie, as
// TestLiesOnTheWire does what needs neither.
func TestLiesOverTLS(t *testing.T) {
	t.Parallel()
	var lies []tuftest.Lie
	for i, lie := range tuftest.Wires() {
		if toldOverTLS(i, lie) {
			lies = append(lies, lie)
		}
	}
	lies = slices.Concat(lies, slices.DeleteFunc(tuftest.TLSWires(), func(l tuftest.Lie) bool { return l.Name == unheard }))
	begin := func(t *testing.T, kind tuftest.Kind) *course {
		t.Helper()
		place := tuftest.NewTLSPlace(t, kind)
		return newCourse(t, place, ociremote.Options{CAFile: place.CAFile()})
	}
	hearAll(t, lies, tuftest.NetworkKinds, begin, tlsLies)
}
