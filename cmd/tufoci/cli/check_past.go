package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/tufoci/tufoci/publish"
)

// overwritten is what a workspace published, and what the tag names in its place.
type overwritten struct {
	Digest      string `json:"digest"`
	Version     int64  `json:"version"`
	HeadDigest  string `json:"headDigest"`
	HeadVersion int64  `json:"headVersion"`
}

// clientHealth says whether a client with an old root reaches the present.
type clientHealth struct {
	Root     int64        `json:"root"`
	Checksum string       `json:"checksum"`
	Carried  bool         `json:"carried"`
	Status   string       `json:"status"`
	Error    *errorReport `json:"error"`
}

// statusStuck: the client does not reach the present.
const statusStuck = "stuck"

// overwrittenError says that what was published is not in what consumers see.
type overwrittenError struct{ what string }

func (e *overwrittenError) Error() string { return e.what }

// strandedError says that clients with an old root do not reach the present, and what
// stops the first of them.
type strandedError struct {
	what string
	err  error
}

func (e *strandedError) Error() string { return e.what }
func (e *strandedError) Unwrap() error { return e.err }

// addPast adds what was overwritten, and which clients arrive.
func (a *app) addPast(r *checkResult, h *publish.Health) {
	if f := h.Fork; f != nil {
		r.Overwritten = &overwritten{Digest: f.Ours.String(), Version: f.OursVersion, HeadDigest: f.Theirs.String(), HeadVersion: f.TheirsVersion}
	}
	r.Forks, r.DeadClaims = a.historyBundles(h.Forks()), []historyBundle{}
	if h.Timeline != nil {
		r.DeadClaims = a.historyBundles(h.Timeline.Of(publish.StateDead))
	}
	r.Clients = make([]clientHealth, 0, len(h.Clients))
	for _, c := range h.Clients {
		out := clientHealth{Root: c.Root, Checksum: "sha256:" + c.SHA256, Carried: c.Carried, Status: statusOK}
		if c.SHA256 == "" {
			out.Checksum = ""
		}
		if c.Err != nil {
			out.Status, out.Error = statusStuck, a.report(c.Err)
		}
		r.Clients = append(r.Clients, out)
	}
}

// overwrites says what was overwritten, by the forks given: what this workspace
// published first.
func (r *checkResult) overwrites(forks []historyBundle) []string {
	var parts []string
	if o := r.Overwritten; o != nil {
		parts = append(parts, fmt.Sprintf("what this workspace published last, %s (timestamp v%d), was overwritten: tag %q names %s (timestamp v%d)",
			o.Digest, o.Version, r.Tag, o.HeadDigest, o.HeadVersion))
	}
	for _, f := range forks {
		if r.Overwritten != nil && f.Digest == r.Overwritten.Digest {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s) is no ancestor of the head %s%s", f.Tag, f.Digest, r.Digest, f.lost()))
	}
	return parts
}

// strandedClients says which clients do not arrive, and what stops the first.
func strandedClients(h *publish.Health) (parts []string, err error) {
	for _, c := range h.Clients {
		if c.Err != nil {
			parts = append(parts, fmt.Sprintf("a client that has root v%d does not reach the present: %v", c.Root, c.Err))
			if err == nil {
				err = c.Err
			}
		}
	}
	return parts, err
}

// pastText prints what is to be said of the history, and the clients.
func (r *checkResult) pastText(w io.Writer) {
	for _, what := range r.overwrites(r.Forks) {
		fmt.Fprintf(w, "fork: %s\n", printable(what))
	}
	for _, c := range r.DeadClaims {
		fmt.Fprintf(w, "dead claim: %s (%s)%s\n", c.Tag, c.Digest, c.fate())
	}
	if len(r.Clients) == 0 {
		return
	}
	var rows [][]string
	for _, c := range r.Clients {
		status := c.Status
		if c.Error != nil {
			status += ": " + c.Error.What
		}
		if c.Carried {
			status = strings.TrimSpace(status + " (by the root of that version that the bundle carries)")
		}
		rows = append(rows, []string{formatVersion(c.Root), shorten(c.Checksum, 19), status})
	}
	table(w, []string{"CLIENT FROM", "ROOT", "STATUS"}, rows)
}
