package mirror

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/verify"
)

func day(n int) time.Time { return time.Date(2026, time.November, n, 0, 0, 0, 0, time.UTC) }

func role(name string, expires time.Time, stale time.Duration) End {
	return End{Kind: EndRole, Name: name, Expires: expires, Until: expires.Add(stale)}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	crl := End{Kind: EndCRL, Name: "acme", Expires: day(12), Until: day(12)}
	tests := []struct {
		name  string
		ends  []End
		stale time.Duration
		want  string // "" for good enough until day 20
		last  time.Time
	}{
		{"nothing ends", nil, 0, "", time.Time{}},
		{"all of it lasts", []End{role("root", day(28), 0), role("targets", day(21), 0)}, 0, "", day(21)},
		{"to the very moment", []End{role("targets", day(20), 0)}, 0, "", day(20)},
		{"a second less", []End{role("targets", day(20).Add(-time.Second), 0)}, 0, "refused: targets expires 2026-11-19T23:59:59Z, before 2026-11-20", day(20).Add(-time.Second)},
		{"two roles together", []End{role("timestamp", day(10), 0), role("snapshot", day(10), 0), role("root", day(28), 0)}, 0, "refused: snapshot and timestamp expire 2026-11-10, before 2026-11-20", day(10)},
		{"the first of two", []End{role("timestamp", day(11), 0), role("snapshot", day(10), 0)}, 0, "refused: snapshot expires 2026-11-10, before 2026-11-20", day(10)},
		{
			"max-stale is not enough",
			[]End{role("timestamp", day(10), 48*time.Hour)},
			48 * time.Hour,
			"refused: timestamp expires 2026-11-10 (2026-11-12 with max-stale 2d), before 2026-11-20", day(12),
		},
		{"max-stale is enough", []End{role("timestamp", day(10), 240*time.Hour)}, 240 * time.Hour, "", day(20)},
		{"a CRL", []End{crl}, 0, "refused: CRL acme has its next update at 2026-11-12, before 2026-11-20", day(12)},
		{
			"each kind",
			[]End{
				crl, role("shop", day(15), 0),
				{Kind: EndSignature, Name: "sha256:1", Image: "reg/api:1", Expires: day(13), Until: day(13)},
				{Kind: EndCertificate, Name: "CN=ci", Image: "reg/api:1", Expires: day(14), Until: day(14)},
			},
			0,
			`refused: shop expires 2026-11-15; CRL acme has its next update at 2026-11-12; the signature of reg/api:1 expires 2026-11-13; ` +
				`certificate "CN=ci" of the signature of reg/api:1, which has no timestamp, ends 2026-11-14, before 2026-11-20`, day(12),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := &Validity{MaxStale: test.stale}
			v.add(test.ends...)
			if !v.Until().Equal(test.last) {
				t.Errorf("until %v, want %v", v.Until(), test.last)
			}
			err := v.Require(day(20))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			short, ok := errors.AsType[*ShortLivedError](err)
			if !ok || !errors.Is(err, ErrShortLived) || err.Error() != test.want {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			if !short.Last.Equal(test.last) || len(short.Ends) == 0 {
				t.Errorf("%+v", short)
			}
			if err := v.Require(short.Last); err != nil {
				t.Errorf("what it says to be possible is not: %v", err)
			}
		})
	}
}

// What ends of a signature: its own expiry; its certificates, but not those of a time
// that somebody else vouches for; and nothing of a signature that was not accepted.
func TestSignatureEnds(t *testing.T) {
	t.Parallel()
	good := verify.Signature{
		Digest: digest.FromString("x"), Accepted: true, Expiry: day(9),
		Chain:          []verify.Certificate{{Subject: "CN=ci", NotAfter: day(5)}, {Subject: "CN=ca", NotAfter: day(25)}},
		TimestampChain: []verify.Certificate{{Subject: "CN=tsa", NotAfter: day(1)}},
	}
	tests := []struct {
		name string
		edit func(*verify.Signature)
		want string
	}{
		{"by its certificates", func(*verify.Signature) {}, "CN=ci " + good.Digest.String() + " CN=ca"},
		{"without an expiry", func(s *verify.Signature) { s.Expiry = time.Time{} }, "CN=ci CN=ca"},
		{"with a timestamp", func(s *verify.Signature) { s.Timestamp = day(1) }, good.Digest.String()},
		{"of a signing authority", func(s *verify.Signature) { s.Scheme = schemeSigningAuthority }, good.Digest.String()},
		{"not accepted", func(s *verify.Signature) { s.Accepted = false }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := good
			test.edit(&s)
			v := &Validity{}
			v.addImage("reg/api:1", &verify.Result{Verdicts: []verify.Verdict{{Signatures: []verify.Signature{s}}}})
			var names []string
			for _, e := range v.Ends {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
