package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// maxContent bounds what is read of the files under reserved names, in bytes,
// before and after together. The largest of them are CRLs.
const maxContent = 256 << 20

// contentRoles may list what [material.Lint] judges: the certificates, policies
// and revocations of targets, and the revocations of the role that can only
// deny.
var contentRoles = []string{"targets", "revocations"}

// entry is a target as its role lists it.
type entry struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
	role   string
}

func (e entry) equal(o entry) bool {
	return e.Length == o.Length && e.Hashes["sha256"] == o.Hashes["sha256"] && bytes.Equal(e.Custom, o.Custom)
}

// checkContent refuses certificates, CRLs, policies and revocations that
// clients would refuse, if a release changes any of them. It reads bytes of the
// head that the workspace does not hold; nothing is read if nothing changed.
func (p *publication) checkContent(ctx context.Context, r *metadata.Release, h *head, known *metadata.Head) error {
	var old []metadata.File
	if known != nil {
		old = known.Files
	}
	if sameRoles(r.Files, old) {
		return nil
	}
	before, err := contentEntries(old, nil)
	if err != nil {
		return err
	}
	after, err := contentEntries(r.Files, old)
	if err != nil {
		return err
	}
	if maps.EqualFunc(before, after, entry.equal) {
		return nil
	}
	read := contentReader{source: h, files: r.Files}
	files, err := read.all(ctx, after)
	if err != nil {
		return err
	}
	maps.DeleteFunc(before, func(name string, _ entry) bool { return !isYardstick(name) })
	previous, err := read.all(ctx, before)
	if err != nil {
		return err
	}
	findings := material.Lint(files, material.LintOptions{Previous: previous, TimestampExpires: r.Expires["timestamp"], Now: p.o.Now()})
	var refused []metadata.Finding
	for _, f := range findings {
		finding := metadata.Finding{Level: metadata.LevelError, Rule: f.Rule, Role: roleOf(f.Name, after), Message: f.Name + ": " + f.Message}
		if f.Warning {
			p.dst.warn(finding.String())
			continue
		}
		refused = append(refused, finding)
	}
	if len(refused) > 0 {
		return &metadata.LintError{Findings: refused}
	}
	return nil
}

// isYardstick reports whether what is published under a name is what comes next
// is held to: a CRL must not become older, nor revocations fewer.
func isYardstick(name string) bool {
	_, _, crl := material.ParseCRLName(name)
	return crl || material.IsRevocations(name)
}

func roleOf(name string, entries map[string]entry) string {
	if e, ok := entries[name]; ok {
		return e.role
	}
	return contentRoles[0]
}

// sameRoles reports whether no role changed that may list such files.
func sameRoles(a, b []metadata.File) bool {
	for _, role := range contentRoles {
		if roleFile(a, role).SHA256 != roleFile(b, role).SHA256 {
			return false
		}
	}
	return true
}

// roleFile is the metadata of a role among files.
func roleFile(files []metadata.File, role string) metadata.File {
	for _, f := range files {
		if name, _, ok := metadata.ParseTitle(f.Name); ok && name == role {
			return f
		}
	}
	return metadata.File{}
}

// contentEntries lists the targets that lint judges, of the roles that clients
// believe them of. Roles without bytes are as in old.
func contentEntries(files, old []metadata.File) (map[string]entry, error) {
	entries := map[string]entry{}
	for _, role := range contentRoles {
		f := roleFile(files, role)
		if same := roleFile(old, role); f.Data == nil && same.SHA256 == f.SHA256 {
			f = same
		}
		if f.Name == "" {
			continue
		}
		var parsed struct {
			Signed struct {
				Targets map[string]entry `json:"targets"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(f.Data, &parsed); err != nil {
			return nil, fmt.Errorf("role %q: %w", role, err)
		}
		for name, e := range parsed.Signed.Targets {
			if _, ok := entries[name]; ok || !believed(role, name) {
				continue
			}
			e.role = role
			entries[name] = e
		}
	}
	return entries, nil
}

// believed reports whether clients believe a role about a name that lint judges.
func believed(role, name string) bool {
	return material.Reserved(name) && (role == contentRoles[0] || strings.HasPrefix(name, "revocations/"))
}

// contentReader reads target files from a release, and from the head what that
// does not hold.
type contentReader struct {
	source *head
	files  []metadata.File
	total  int64
}

func (c *contentReader) all(ctx context.Context, entries map[string]entry) ([]material.File, error) {
	var out []material.File
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		if c.total += e.Length; c.total > maxContent {
			return nil, &metadata.LintError{Findings: []metadata.Finding{{
				Level: metadata.LevelError, Rule: "size", Role: e.role,
				Message: fmt.Sprintf("the files under reserved names have more than %d bytes", maxContent),
			}}}
		}
		data, err := c.read(ctx, name, e)
		if err != nil {
			return nil, fmt.Errorf("reading target %q: %w", name, err)
		}
		out = append(out, material.File{Name: name, Data: data, Custom: e.Custom})
	}
	return out, nil
}

func (c *contentReader) read(ctx context.Context, name string, e entry) ([]byte, error) {
	sum := e.Hashes["sha256"]
	title := metadata.TargetTitle(name, sum)
	for _, f := range c.files {
		if f.Name == title && f.Data != nil {
			return f.Data, nil
		}
	}
	return c.source.file(ctx, title, digest.NewDigestFromEncoded(digest.SHA256, sum), maxContent)
}

// file reads a file of the head, which has that digest and at most limit bytes.
func (h *head) file(ctx context.Context, title string, d digest.Digest, limit int64) ([]byte, error) {
	if h == nil {
		return nil, fmt.Errorf("%q is neither here nor in the head", title)
	}
	f, ok := h.bundle.File(title)
	if !ok || f.Descriptor.Digest != d {
		return nil, fmt.Errorf("the head lacks %q with digest %s", title, d)
	}
	if data, ok := h.bundle.Inline(title); ok {
		return data, nil
	}
	return ociremote.FetchBlob(ctx, h.source, f.Descriptor, limit)
}
