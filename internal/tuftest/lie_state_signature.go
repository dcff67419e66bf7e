package tuftest

import (
	"bytes"
	"strings"
	"testing"
)

// signatureStates are of roles that too few of their keys have signed. Where other
// files name the file by its hash, it takes their keys.
func signatureStates() []Lie {
	var lies []Lie
	for _, label := range append([]string{"root"}, roleLabels...) {
		lie := func(name string, forge func(r *Repo, role string)) {
			lies = append(lies, Lie{Name: label + name, Keys: above(label), Tell: func(t testing.TB, p *Place, repo *Repo) {
				t.Helper()
				evil := told(t, repo).evilIn(label)
				forge(evil, evil.label(label))
				p.Put(evil.Files(), PackOptions{})
			}})
		}
		lie("-unsigned", func(r *Repo, role string) { r.Unsign(role, 0) })
		lie("-signed-by-half", func(r *Repo, role string) { r.Unsign(role, 1) })
		lie("-signed-by-strangers", func(r *Repo, role string) { r.SignAs(role, r.newKeys()...) })
		lie("-with-one-signature-twice", func(r *Repo, role string) {
			r.EditSignatures(role, func(s []Signature) []Signature { return []Signature{s[0], s[0]} })
		})
		lie("-with-one-signature-under-two-ids", func(r *Repo, role string) {
			r.EditSignatures(role, func(s []Signature) []Signature { return []Signature{s[0], {s[1].KeyID, s[0].Sig}} })
		})
		lie("-with-a-signature-under-a-strange-id", func(r *Repo, role string) {
			r.EditSignatures(role, func(s []Signature) []Signature { return []Signature{s[0], {strings.Repeat("0", 64), s[1].Sig}} })
		})
		lie("-with-one-bit-of-a-signature-changed", func(r *Repo, role string) {
			r.EditSignatures(role, func(s []Signature) []Signature {
				s[1].Sig = otherDigit(s[1].Sig[0]) + s[1].Sig[1:]
				return s
			})
		})
		lie("-with-one-bit-changed", func(r *Repo, role string) {
			r.Tamper(role, func(data []byte) []byte { return bytes.Replace(data, []byte(`"2030-`), []byte(`"2031-`), 1) })
		})
		lie("-with-signatures-of-an-older-version", func(r *Repo, role string) {
			var old []Signature
			r.earlier.Fork().EditSignatures(role, func(s []Signature) []Signature { old = s; return s })
			r.EditSignatures(role, func([]Signature) []Signature { return old })
		})
	}
	return append(lies,
		forging("targets-signed-by-the-keys-of-team", []string{"team", "snapshot", "timestamp"}, func(r *Repo) {
			r.SignAs("targets", r.Keys("team")...)
		}),
		forging("team-signed-by-the-keys-of-a-bin", []string{"bin", "snapshot", "timestamp"}, func(r *Repo) {
			r.SignAs("team", r.Keys(r.label("bin"))...)
		}),
		forging("snapshot-signed-by-the-keys-of-timestamp", []string{"timestamp"}, func(r *Repo) {
			r.SignAs("snapshot", r.Keys("timestamp")...)
		}),
		offering("timestamp-of-a-fork-signed-by-nobody", func(r *Repo) map[string][]byte {
			evil := r.evil()
			evil.ForgeAlone("timestamp", func(signed map[string]any) { signed["version"] = r.Version("timestamp") })
			evil.Unsign("timestamp", 0)
			return evil.Files()
		}),
	)
}

// evilIn is a later state in which one role says what an attacker wants to be believed.
func (r *Repo) evilIn(label string) *Repo {
	r.t.Helper()
	evil := r.Fork()
	evil.Say(Later)
	switch label {
	case "targets":
		evil.AddTarget(StatesFile, []byte(Evil))
	case "team":
		evil.AddTargetTo("team", StatesTeam, []byte(Evil))
	case "bin":
		evil.AddEntry("images", StatesImage, int64(len(Evil)), Digest([]byte(Evil))[len("sha256:"):], nil)
	default:
		evil.Touch(label)
	}
	evil.Publish()
	return evil
}

// otherDigit is another hexadecimal digit.
func otherDigit(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}
