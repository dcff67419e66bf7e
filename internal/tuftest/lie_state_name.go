package tuftest

import (
	"strings"
	"testing"
)

// hostileNames are names of roles and targets that somebody with keys might choose,
// to lead out of a directory, to end a string, or to deceive who reads them.
var hostileNames = []struct{ label, name string }{
	{"dot", "."},
	{"two-dots", ".."},
	{"of-the-directory-above", "../evil"},
	{"of-a-directory-far-above", "../../../../../../tmp/evil"},
	{"absolute", "/etc/evil"},
	{"that-leaves-its-directory", "a/../../evil"},
	{"of-the-home-directory", "~/evil"},
	{"with-a-zero", "a\x00b"},
	{"with-a-line-break", "a\nb"},
	{"with-a-header", "a\r\nHost: evil"},
	{"with-an-escape-sequence", "a\x1b[31mb"},
	{"written-from-right-to-left", "\u202eevil"},
	{"isolated", "evil\u2066"},
	{"with-a-byte-order-mark", "\ufeffevil"},
	{"composed", "évil"},
	{"decomposed", "e\u0301vil"},
	{"with-percent-escapes", "%2e%2e%2fevil"},
	{"percent", "%"},
	{"with-an-escaped-zero", "%00"},
	{"with-a-query", "a?b"},
	{"with-a-fragment", "a#b"},
	{"with-a-space", "a b"},
	{"space", " "},
	{"with-a-semicolon", "a;b"},
	{"with-a-pipe", "a|b"},
	{"with-a-command", "$(evil)"},
	{"like-a-flag", "-evil"},
	{"star", "*"},
	{"bracket", "["},
	{"backslash", "\\"},
	{"of-a-drive", `C:\evil`},
	{"of-a-share", `\\host\evil`},
	{"of-a-device", "con"},
	{"of-a-device-with-a-suffix", "NUL.json"},
	{"with-a-dot-behind", "evil."},
	{"with-a-suffix", "evil.json"},
	{"like-a-root", "1.root"},
	{"like-versioned-targets", "2.targets"},
	{"root-in-capitals", "ROOT"},
	{"timestamp-in-capitals", "Timestamp"},
	{"long", strings.Repeat("n", 80)},
}

// HostileNames are names of targets that lie "targets-with-hostile-names" lists.
func HostileNames() []string {
	names := []string{"", strings.Repeat("long/", 1000) + "evil"}
	for _, odd := range hostileNames {
		names = append(names, odd.name)
	}
	return names
}

// nameStates are roles and targets with hostile names.
func nameStates() []Lie {
	var lies []Lie
	for _, odd := range hostileNames {
		lies = append(lies, graph("role-with-a-name-"+odd.label, func(r *Repo) {
			r.Delegate("targets", odd.name, []string{"odd/*"}, false)
			r.AddTargetTo(odd.name, "odd/file", []byte(Later))
		}))
	}
	for _, name := range append([]string{""}, topLevel...) {
		lies = append(lies, forging("delegated-role-called-"+name, withKeys("targets"), func(r *Repo) {
			r.Forge("targets", func(s map[string]any) {
				s["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)["name"] = name
			})
		}))
	}
	return append(lies,
		Lie{Name: "role-with-a-very-long-name", Keys: withKeys("targets"), Kinds: []Kind{InRegistry, InLayout, InArchive, OverHTTP}, Tell: longName},
		graph("targets-with-hostile-names", func(r *Repo) {
			for _, name := range HostileNames() {
				r.AddEntry("targets", name, int64(len(Evil)), Digest([]byte(Evil))[len("sha256:"):], nil)
			}
		}),
		graph("target-of-an-absurd-length", func(r *Repo) {
			r.AddEntry("targets", "odd/file", lastVersion, Digest([]byte(Evil))[len("sha256:"):], nil)
		}),
		Lie{Name: "target-of-no-known-hash", Keys: withKeys("targets"), Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			later := told(t, repo).later()
			later.Forge("targets", func(s map[string]any) {
				s["targets"].(map[string]any)[StatesFile].(map[string]any)["hashes"] = map[string]any{"rot13": "00"}
			})
			files := later.Files()
			files["targets/00."+StatesFile] = []byte(Evil)
			p.Put(files, PackOptions{})
		}},
	)
}

// longName is longer than a file name can be, and than a tar can say.
func longName(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	later := told(t, repo).later()
	name := strings.Repeat("n", 3000)
	later.Delegate("targets", name, []string{"odd/*"}, false)
	later.AddTargetTo(name, "odd/file", []byte(Later))
	later.Publish()
	p.Put(later.Files(), PackOptions{NoInline: true})
}
