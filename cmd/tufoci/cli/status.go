package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type statusResult struct {
	document
	Repository string         `json:"repository"`
	Channel    string         `json:"channel"`
	Published  *publishedInfo `json:"published"`
	Roles      []roleStatus   `json:"roles"`
	Added      []targetEntry  `json:"added"`
	Removed    []targetEntry  `json:"removed"`
	Proposed   []proposedRole `json:"proposed"`
	Drift      []string       `json:"drift"`
	Ceremonies []openCeremony `json:"ceremonies"`
}

type publishedInfo struct {
	Digest    string `json:"digest"`
	Tag       string `json:"tag"`
	FetchedAt moment `json:"fetchedAt"`
}

type roleStatus struct {
	Role          string   `json:"role"`
	Bins          int      `json:"bins"`
	BaseVersion   int64    `json:"baseVersion"`
	StagedVersion int64    `json:"stagedVersion"`
	Signed        int      `json:"signed"`
	Need          int      `json:"need"`
	OldSigned     int      `json:"oldSigned"`
	OldNeed       int      `json:"oldNeed"`
	Expires       moment   `json:"expires"`
	Due           bool     `json:"due"`
	Online        bool     `json:"online"`
	Keys          []keyRef `json:"keys"`
}

// keyRef names a key that may sign.
type keyRef struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Signed bool   `json:"signed"`
}

func (k keyRef) String() string {
	if k.Name != "" {
		return k.Name
	}
	return shorten(k.ID, 8)
}

func (a *app) newStatus() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what is staged, who must sign and what expires when",
		Example: "  tufoci status",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				st, err := w.Status()
				if err != nil {
					return err
				}
				return a.print(newStatusResult(st))
			})
		}),
	}
}

func newStatusResult(st *metadata.Status) *statusResult {
	r := &statusResult{
		Repository: st.Repository,
		Channel:    st.Channel,
		Roles:      roleStatuses(st.Roles),
		Added:      targetEntries(st.Added),
		Removed:    targetEntries(st.Removed),
		Proposed:   newProposedRoles(st.Proposed),
		Drift:      append([]string{}, st.Drift...),
		Ceremonies: openCeremonies(st.Frozen),
	}
	if p := st.Published; p != nil {
		r.Published = &publishedInfo{Digest: p.Digest, Tag: p.Tag, FetchedAt: moment{p.FetchedAt}}
	}
	return r
}

func roleStatuses(in []metadata.RoleStatus) []roleStatus {
	out := make([]roleStatus, 0, len(in))
	for _, r := range in {
		out = append(out, roleStatus{
			Role: r.Role, Bins: r.Bins, BaseVersion: r.BaseVersion, StagedVersion: r.StagedVersion,
			Signed: r.Signed, Need: r.Need, OldSigned: r.OldSigned, OldNeed: r.OldNeed,
			Expires: moment{r.Expires}, Due: r.Due, Online: r.Online, Keys: keyRefs(r.Keys),
		})
	}
	return out
}

func keyRefs(in []metadata.KeyInfo) []keyRef {
	out := make([]keyRef, 0, len(in))
	for _, k := range in {
		out = append(out, keyRef{ID: k.ID, Name: k.Name, Signed: k.Signed})
	}
	return out
}

func (r *statusResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s:%s\n", r.Repository, r.Channel)
	if p := r.Published; p != nil {
		fmt.Fprintf(w, "published as %s (%s)\n", p.Digest, formatLeft(p.FetchedAt.Time, a.world.Now()))
	} else {
		fmt.Fprintln(w, "not published yet")
	}
	writeRoleStatuses(w, r.Roles, a.world.Now())
	for _, t := range r.Added {
		fmt.Fprintf(w, "+ %s   (%s)\n", printable(t.Path), printable(t.Role))
	}
	for _, t := range r.Removed {
		fmt.Fprintf(w, "- %s   (%s)\n", printable(t.Path), printable(t.Role))
	}
	writeProposedRoles(w, r.Proposed, a.world.Now())
	for _, d := range r.Drift {
		fmt.Fprintf(w, "drift: %s\n", printable(d))
	}
	writeOpenCeremonies(w, r.Ceremonies, a.world.Now())
}

func writeRoleStatuses(w io.Writer, roles []roleStatus, now time.Time) {
	rows := make([][]string, 0, len(roles))
	for _, r := range roles {
		rows = append(rows, []string{
			r.label(), formatVersion(r.BaseVersion), formatVersion(r.StagedVersion),
			r.signatures(), fmt.Sprint(r.Need), r.expiry(now), joinKeys(r.Keys),
		})
	}
	table(w, []string{"ROLE", "BASE", "STAGED", "SIGNED", "NEED", "EXPIRES", "WHO CAN SIGN"}, rows)
}

func (r roleStatus) label() string {
	if r.Bins > 0 {
		return fmt.Sprintf("%s (%d bins)", r.Role, r.Bins)
	}
	return r.Role
}

// signatures shows both counts of a root that follows a published one.
func (r roleStatus) signatures() string {
	if r.StagedVersion > 0 && r.OldNeed > 0 {
		return fmt.Sprintf("%d (old rules: %d of %d)", r.Signed, r.OldSigned, r.OldNeed)
	}
	return fmt.Sprint(r.Signed)
}

func (r roleStatus) expiry(now time.Time) string {
	out := formatTime(r.Expires.Time, now)
	if r.Due {
		out += " due"
	}
	return out
}

func joinKeys(keys []keyRef) string {
	if len(keys) == 0 {
		return "nobody: give the role a key"
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
		if k.Signed {
			names[i] += " ✓"
		}
	}
	return strings.Join(names, ", ")
}

// formatVersion prints a version, "-" for none.
func formatVersion(v int64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", v)
}

// shorten cuts an identifier for a table.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
