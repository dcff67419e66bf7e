package ceremony

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

// Runbook writes the ceremony down for people, as Markdown: what is signed, who signs, with which commands, and fields to
// tick. file is what the ceremony file is called. All text of others stands in it as code, without control characters.
func (c *Ceremony) Runbook(file string) (string, error) {
	r := &runbook{c: c, file: filepath.Base(file)}
	for _, part := range []func() error{r.head, r.changes, r.signers, r.commands, r.foot} {
		if err := part(); err != nil {
			return "", err
		}
	}
	return r.out.String(), nil
}

type runbook struct {
	c    *Ceremony
	file string
	out  strings.Builder
}

func (r *runbook) line(format string, args ...any) { fmt.Fprintf(&r.out, format+"\n", args...) }

// code is text of others as a code span, in a line or in a table.
func code(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(strconv.Quote(s), `"`), `"`)
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, `\"`, `"`).Replace(s) + "`"
}

func (r *runbook) head() error {
	c := r.c
	r.line("# Signing ceremony %s\n", Short(c.TxID))
	r.line("%s\n", code(c.Message))
	r.line("| | |\n|---|---|")
	r.line("| repository | %s, tag %s |", code(c.Repository), code(c.Channel))
	r.line("| started | %s |", c.Created.Format(time.RFC3339))
	r.line("| txid | `%s` |", c.TxID)
	r.line("| read aloud | **%s** |", Short(c.TxID))
	r.line("\nThe txid is the sha256 of the bytes to sign%s.\n", ofAll(c.Roles()))
	r.line("| role | version | sha256 of the bytes to sign |\n|---|---|---|")
	for _, role := range c.Roles() {
		payload, err := c.Payload(role)
		if err != nil {
			return err
		}
		staged, published := c.Version(role)
		r.line("| %s | %s | `%s` |", code(role), versions(published, staged), digest(payload))
	}
	return nil
}

func ofAll(roles []string) string {
	if len(roles) == 1 {
		return ""
	}
	return " of all roles, in the order below, one behind the other"
}

func versions(published, staged int64) string {
	if published == 0 {
		return fmt.Sprintf("v%d, the first", staged)
	}
	return fmt.Sprintf("v%d -> v%d", published, staged)
}

func (r *runbook) changes() error {
	diffs, err := r.c.Diff()
	if err != nil {
		return err
	}
	r.line("\n## What changes\n")
	for _, d := range diffs {
		for _, change := range d.Changes {
			r.line("- %s: %s", code(d.Role), code(change.String()))
		}
	}
	return nil
}

func (r *runbook) signers() error {
	all, err := r.c.Signatures()
	if err != nil {
		return err
	}
	r.line("\n## Who signs\n")
	for _, s := range all {
		for i, rule := range s.Rules {
			r.line("%s v%d needs %d by %s%s:\n", code(s.Role), s.Version, rule.Need, code(rule.By), side(s, i))
			r.line("| key | key ID | kind | txid compared | signed | by, when |\n|---|---|---|---|---|---|")
			for _, k := range rule.Keys {
				r.line("| %s | `%s` | %s | ☐ | %s | |", code(k.Name), k.ID, code(k.Scheme), tick(k.Signed))
			}
			r.line("")
		}
	}
	return nil
}

func tick(done bool) string {
	if done {
		return "☑"
	}
	return "☐"
}

// commands lists the commands by kind of key: those of the kinds that there are.
func (r *runbook) commands() error {
	all, err := r.c.Signatures()
	if err != nil {
		return err
	}
	r.line("## Each signer\n")
	r.line("1. Look at what changes, and whether it starts from what is published (the root file is one that you trust already):\n")
	r.block("tufoci ceremony review FILE --root 1.root.json")
	r.line("2. Compare the txid with the others, by voice. ☐\n")
	r.line("3. Sign, and send the signature file back. Either with tufoci:\n")
	r.block("tufoci ceremony sign FILE --key file:KEY.pem -o KEY.sig")
	r.line("or with the program that reaches your key: openssl, or pkcs11-tool for a key in a token. The coordinator sends the bytes to sign along:\n")
	for _, role := range r.c.Roles() {
		r.block("tufoci ceremony review FILE --role " + word(role) + " -o " + payloadName(role) + "      # the coordinator")
	}
	r.line("whose sha256 must be the one above:\n")
	for _, s := range all {
		r.block("sha256sum " + payloadName(s.Role))
		for _, scheme := range schemes(s) {
			r.line("%s key:\n", schemeName[scheme])
			payload, err := r.c.Payload(s.Role)
			if err != nil {
				return err
			}
			r.block(commands(scheme, payloadName(s.Role), len(payload))...)
		}
	}
	return nil
}

// block is a block of commands about the file.
func (r *runbook) block(lines ...string) {
	r.line("```console")
	for _, l := range lines {
		r.line("$ %s", strings.Replace(l, "FILE", word(r.file), 1))
	}
	r.line("```\n")
}

// word is a file name in a command, quoted where a shell or a reader needs it.
func word(s string) string {
	plain := func(c rune) bool {
		return c < 0x80 && (c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 && s[0] != '-' {
		return s
	}
	return strings.ReplaceAll(strconv.QuoteToASCII(s), "`", "'")
}

func payloadName(role string) string { return word(role + ".bin") }

// schemes are the schemes of the keys of a role, each once.
func schemes(s metadata.RoleSignatures) []string {
	var out []string
	seen := map[string]bool{}
	for _, rule := range s.Rules {
		for _, k := range rule.Keys {
			if !seen[k.Scheme] && schemeName[k.Scheme] != "" {
				seen[k.Scheme], out = true, append(out, k.Scheme)
			}
		}
	}
	return out
}

var schemeName = map[string]string{
	"ed25519":             "Ed25519",
	"ecdsa-sha2-nistp256": "ECDSA P-256",
	"ecdsa-sha2-nistp384": "ECDSA P-384",
	"rsassa-pss-sha256":   "RSA",
}

// maxTokenInput is how many bytes pkcs11-tool has signed in one piece, which Ed25519 needs.
const maxTokenInput = 1000

// commands are the commands that sign the bytes in a file with a key of a scheme without tufoci: openssl with the key in
// KEY.pem, or pkcs11-tool with the key of an id in a token, which goes by no label. Either writes KEY.sig; none for a
// scheme that is not known.
func commands(scheme, payload string, length int) []string {
	token := "pkcs11-tool --module MODULE.so --token-label TOKEN --login --id ID --sign "
	switch scheme {
	case "ed25519":
		out := []string{"openssl pkeyutl -sign -rawin -inkey KEY.pem -in " + payload + " -out KEY.sig"}
		if length <= maxTokenInput {
			out = append(out, token+"--mechanism EDDSA --input-file "+payload+" --output-file KEY.sig")
		}
		return out
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384":
		hash := map[string]string{"ecdsa-sha2-nistp256": "sha256", "ecdsa-sha2-nistp384": "sha384"}[scheme]
		return []string{
			"openssl dgst -" + hash + " -sign KEY.pem -out KEY.sig " + payload,
			"openssl dgst -" + hash + " -binary -out hash.bin " + payload,
			token + "--mechanism ECDSA --input-file hash.bin --output-file KEY.sig",
		}
	case "rsassa-pss-sha256":
		return []string{
			"openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sign KEY.pem -out KEY.sig " + payload,
			token + "--mechanism SHA256-RSA-PKCS-PSS --mgf MGF1-SHA256 --salt-len 32 --input-file " + payload + " --output-file KEY.sig",
		}
	}
	return nil
}

func (r *runbook) foot() error {
	r.line("## The coordinator\n")
	r.block("tufoci ceremony add FILE A.sig B.sig", "tufoci ceremony add FILE KEY.sig --key NAME      # what openssl or pkcs11-tool wrote", "tufoci ceremony status FILE")
	r.line("- ☐ each signer has confirmed the txid\n- ☐ a key that is new has signed\n- ☐ all thresholds are met, old and new\n")
	r.block("tufoci ceremony apply FILE", "tufoci publish")
	r.line("- ☐ published, and a client follows: `tufoci trust update`")
	return nil
}
