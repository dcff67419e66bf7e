package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tufoci/tufoci/publish"
)

// attachment is what is attached to one image.
type attachment struct {
	Image     string           `json:"image"`
	Subject   string           `json:"subject"`
	Digest    string           `json:"digest"`
	Roles     []string         `json:"roles"`
	Versions  map[string]int64 `json:"versions"`
	Targets   []string         `json:"targets"`
	Expires   moment           `json:"expires"`
	Unchanged bool             `json:"unchanged"`
	Pruned    []string         `json:"pruned"`
	Kept      []string         `json:"kept"`
	Error     *errorReport     `json:"error"`
}

// attachments is what is shown of results, and what failed.
func (a *app) attachments(results []publish.AttachResult) (list []attachment, errs []error) {
	list = make([]attachment, len(results))
	for n, r := range results {
		name := r.Image.String()
		list[n] = newAttachment(r, name)
		if r.Err == nil {
			continue
		}
		err := r.Err
		if len(results) > 1 {
			err = fmt.Errorf("%s: %w", name, err)
		}
		if len(errs) == 0 {
			a.subject.image = name
		}
		list[n].Error = a.report(r.Err)
		errs = append(errs, err)
	}
	return list, errs
}

func newAttachment(r publish.AttachResult, image string) attachment {
	i := attachment{
		Image: image, Subject: r.Subject.String(), Digest: r.Digest.String(), Roles: append([]string{}, r.Roles...), Versions: r.Versions,
		Targets: append([]string{}, r.Targets...), Expires: moment{r.Expires}, Unchanged: r.Unchanged, Pruned: []string{}, Kept: []string{},
	}
	if i.Versions == nil {
		i.Versions = map[string]int64{}
	}
	for _, d := range r.Pruned {
		i.Pruned = append(i.Pruned, d.String())
	}
	for _, d := range r.Kept {
		i.Kept = append(i.Kept, d.String())
	}
	return i
}

func writeAttachments(w io.Writer, images []attachment, now time.Time) {
	for _, i := range images {
		switch {
		case i.Error != nil:
			fmt.Fprintf(w, "✗ %s: %s\n", i.Image, printable(i.Error.What))
			continue
		case i.Unchanged:
			fmt.Fprintf(w, "✓ attached to %s already: timestamp %s; fresh until %s\n", i.Image, formatVersion(i.Versions["timestamp"]), formatTime(i.Expires.Time, now))
		default:
			fmt.Fprintf(w, "✓ attached to %s: %s; fresh until %s\n", i.Image, i.holds(), formatTime(i.Expires.Time, now))
		}
		if n := len(i.Pruned); n > 0 {
			fmt.Fprintf(w, "  %s deleted\n", count(n, "older attachment"))
		}
		if n := len(i.Kept); n > 0 {
			fmt.Fprintf(w, "  %s left: the registry does not let go of them; clients take the newest\n", count(n, "older attachment"))
		}
	}
}

// holds lists roles with their versions, and the kinds of files.
func (i *attachment) holds() string {
	parts := []string{"roots v1-" + formatVersion(i.Versions["root"])}
	if i.Versions["root"] == 1 {
		parts[0] = "root v1"
	}
	for _, role := range append([]string{"timestamp", "snapshot", "targets"}, i.Roles...) {
		parts = append(parts, printable(role)+" "+formatVersion(i.Versions[role]))
	}
	for _, kind := range []struct{ prefix, word string }{
		{"notation/trustpolicy", "policy"}, {"notation/x509/", "certificates"}, {"notation/crl/", "CRLs"}, {"revocations", "revocations"}, {"tufoci/", "other files"},
	} {
		for _, path := range i.Targets {
			if strings.HasPrefix(path, kind.prefix) {
				parts = append(parts, kind.word)
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}
