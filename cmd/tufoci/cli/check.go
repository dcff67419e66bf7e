package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// checkedHistory is how many of the newest bundles are looked at for forks: what is
// made between two looks of a monitor, and no more, since each costs a request.
const checkedHistory = 12

type checkOptions struct {
	upkeepFlags
	validFor    span
	clientsFrom []int64
	concurrency int
}

type checkResult struct {
	document
	reading
	Repository   string          `json:"repository"`
	Tag          string          `json:"tag"`
	Digest       string          `json:"digest"`
	RootChecksum string          `json:"rootChecksum"`
	Healthy      bool            `json:"healthy"`
	Roles        []roleHealth    `json:"roles"`
	Overwritten  *overwritten    `json:"overwritten"`
	Forks        []historyBundle `json:"forks"`
	DeadClaims   []historyBundle `json:"deadClaims"`
	Clients      []clientHealth  `json:"clients"`
	Beside       []besideState   `json:"beside"`
	Proposals    []proposal      `json:"proposals"`
}

// roleHealth says how long one role lasts.
type roleHealth struct {
	Role    string          `json:"role"`
	Version int64           `json:"version"`
	Expires moment          `json:"expires"`
	Left    int64           `json:"left"`
	Wanted  int64           `json:"wanted"`
	Online  bool            `json:"online"`
	Status  string          `json:"status"`
	Rules   []signatureRule `json:"rules"`
}

// What a role or a copy is.
const (
	statusOK      = "ok"
	statusShort   = "short"   // less life left than wanted
	statusExpired = "expired" // none
	statusLags    = "lags"
	statusMissing = "missing"
	statusUnknown = "unknown" // it could not be reached
)

// besideState says how far one copy is.
type besideState struct {
	Repository string       `json:"repository"`
	Tag        string       `json:"tag"`
	Version    int64        `json:"version"`
	Expires    moment       `json:"expires"`
	Status     string       `json:"status"`
	Error      *errorReport `json:"error"`
}

func (a *app) newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [TRUST|REPO]",
		Short: "Say what expires when, and who can renew it; the monitor",
		Long: `Verify a repository from its pin, say how much life each role has left, and
exit with 20 when one has less than it should: offline roles what tufoci.yaml
calls renewWithin, online ones 5/6 of that. Copies next to images raise the
alarm when they are missing, do not verify, or lag by more than half the life
of the timestamp. Exit code 40 says that what was published was overwritten, by
the newest of the history, and in a workspace by what it published last.
--client-from walks as a client does that has an old root. Nothing is written,
not even the state of the trust.`,
		Example: `  tufoci check
  tufoci check acme --valid-for 3d
  tufoci check acme --client-from 1 --client-from 4
  tufoci check registry.acme.io/trust/tuf --root 1.root.json --format json`,
		Args: cobra.MaximumNArgs(1),
	}
	o.add(cmd)
	cmd.Flags().Var(&o.validFor, "valid-for", "every role must have this `DURATION` left (default: by its renewal window)")
	cmd.Flags().Int64SliceVar(&o.clientsFrom, "client-from", nil, "does a client that has root `VERSION` still reach the present? (several times)")
	cmd.Flags().IntVar(&o.concurrency, "concurrency", 5, "read `N` copies at the same time")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.concurrency < 1 {
			return usagef("--concurrency is a number above 0")
		}
		return a.withKept(ctx, args, &o.upkeepFlags, func(k *kept) error {
			r, err := a.runCheck(ctx, k, &o)
			return printAlso(a, r, err)
		})
	})
	return cmd
}

func (a *app) runCheck(ctx context.Context, k *kept, o *checkOptions) (*checkResult, error) {
	repo, err := k.client.Repository(ctx, k.ref, false)
	if err != nil {
		return nil, err
	}
	beside, err := o.besidePlan(k)
	if err != nil {
		return nil, err
	}
	seen, err := k.seen(ctx)
	if err != nil {
		return nil, err
	}
	names, err := k.keyNames()
	if err != nil {
		return nil, err
	}
	health, err := publish.Monitor(ctx, k.root, repo, publish.MonitorOptions{
		Channel: k.ref.Tag, ValidFor: time.Duration(o.validFor), Seen: seen, Base: k.base,
		History: checkedHistory, ClientsFrom: o.clientsFrom,
		Beside: func(ctx context.Context, view *trust.View) ([]publish.BesideCopy, error) {
			return beside.copies(ctx, a, view)
		},
		Concurrency: o.concurrency, Now: a.world.Now, Warn: a.warn,
	})
	if err != nil {
		return nil, err
	}
	r := a.newCheckResult(k, health, names)
	if r.Proposals, err = a.proposals(ctx, k, health.View); err != nil {
		return nil, err
	}
	return r, r.alarm(health, a.historyBundles(health.Overwrites()))
}

func (a *app) newCheckResult(k *kept, h *publish.Health, names map[string]string) *checkResult {
	r := &checkResult{
		reading: newReading(h.View), Repository: k.repository(), Tag: k.ref.Tag, Digest: h.Digest.String(),
		RootChecksum: "sha256:" + h.RootSHA256, Healthy: h.OK(),
		Roles: make([]roleHealth, 0, len(h.Roles)), Beside: make([]besideState, 0, len(h.Beside)),
	}
	r.Source = k.source()
	for _, role := range h.Roles {
		out := roleHealth{
			Role: role.Role, Version: role.Version, Expires: moment{role.Expires}, Left: seconds(role.Left), Wanted: seconds(role.Floor),
			Online: role.Online, Status: statusOK, Rules: heldRules(role.Rules, names),
		}
		switch {
		case role.Left <= 0:
			out.Status, r.Verified = statusExpired, false
		case role.Short():
			out.Status = statusShort
		}
		r.Roles = append(r.Roles, out)
	}
	a.addPast(r, h)
	for _, c := range h.Beside {
		out := besideState{Repository: c.Name, Tag: c.Tag, Version: c.Version, Expires: moment{c.Expires}, Status: statusOK}
		switch {
		case c.Lags && c.Version == 0 && c.Err == nil:
			out.Status = statusMissing
		case c.Lags:
			out.Status = statusLags
		case c.Err != nil:
			out.Status = statusUnknown
		}
		if c.Err != nil {
			out.Error = a.report(c.Err)
		}
		r.Beside = append(r.Beside, out)
	}
	return r
}

// unhealthyError says what will lapse, or has.
type unhealthyError struct{ what string }

func (e *unhealthyError) Error() string { return e.what }

// besideError says that home is as it should be, and copies of it are not.
type besideError struct {
	what  string
	first string // of the repositories
}

func (e *besideError) Error() string { return e.what }

// alarm is the error for what is not as it should be: what lapses first, then what was
// overwritten by the forks given, clients that are cut off, and copies, at last those of
// which nothing is known.
func (r *checkResult) alarm(h *publish.Health, forks []historyBundle) error {
	lapsing, overwritten, behind := r.lapsing(), r.overwrites(forks), ""
	var lagging []string
	for _, c := range r.Beside {
		if c.Status == statusLags || c.Status == statusMissing {
			behind = first(behind, c.Repository)
			lagging = append(lagging, fmt.Sprintf("the copy beside %s %s", c.Repository, map[string]string{statusLags: "lags", statusMissing: "is missing"}[c.Status]))
		}
	}
	stranded, err := strandedClients(h)
	parts := slices.Concat(lapsing, overwritten, stranded, lagging)
	if len(parts) > maxChanges {
		parts = append(parts[:maxChanges], fmt.Sprintf("%d more", len(parts)-maxChanges))
	}
	switch what := strings.Join(parts, "; "); {
	case len(lapsing) > 0:
		return &unhealthyError{what}
	case len(overwritten) > 0:
		return &overwrittenError{what}
	case len(stranded) > 0:
		return &strandedError{what, err}
	case len(lagging) > 0:
		return &besideError{what, behind}
	}
	for _, c := range h.Beside {
		if c.Err != nil {
			return fmt.Errorf("the copy beside %s: %w", c.Name, c.Err)
		}
	}
	return nil
}

// lapsing are the roles that have too little life left.
func (r *checkResult) lapsing() []string {
	var parts []string
	for _, role := range r.Roles {
		switch role.Status {
		case statusExpired:
			parts = append(parts, versionText(role.Role, role.Version)+" has expired")
		case statusShort:
			parts = append(parts, fmt.Sprintf("%s has %s left of the %s that it should have", versionText(role.Role, role.Version),
				formatSpan(time.Duration(role.Left)*time.Second), formatSpan(time.Duration(role.Wanted)*time.Second)))
		}
	}
	return parts
}

func (r *checkResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s:%s %s\nverified from root %s\n", printable(r.Repository), r.Tag, r.Digest, r.RootChecksum)
	var rows [][]string
	for _, role := range r.Roles {
		var rules []string
		for _, rule := range role.Rules {
			rules = append(rules, fmt.Sprintf("%d of %s", rule.Need, joinSigners(rule.Keys)))
		}
		rows = append(rows, []string{
			role.Role, formatVersion(role.Version), formatTime(role.Expires.Time, a.world.Now()),
			formatSpan(time.Duration(role.Wanted) * time.Second), role.Status, strings.Join(rules, "; "),
		})
	}
	table(w, []string{"ROLE", "VERSION", "EXPIRES", "WANTED", "STATUS", "WHO CAN RENEW"}, rows)
	writeProposals(w, r.Proposals, a.world.Now())
	r.pastText(w)
	if len(r.Beside) == 0 {
		return
	}
	rows = nil
	for _, c := range r.Beside {
		status := c.Status
		if c.Error != nil {
			status += ": " + c.Error.What
		}
		rows = append(rows, []string{c.Repository + ":" + c.Tag, formatVersion(c.Version), formatTime(c.Expires.Time, a.world.Now()), status})
	}
	table(w, []string{"BESIDE", "TIMESTAMP", "EXPIRES", "STATUS"}, rows)
}

// joinSigners names keys, by the start of their ids where they have no name here.
func joinSigners(keys []keyRef) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	return strings.Join(names, ", ")
}
