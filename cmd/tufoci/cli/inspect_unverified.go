package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/trust"
)

// unverifiedMark starts each line of what nothing vouches for.
const unverifiedMark = "UNVERIFIED "

// unverifiedFile is a metadata file as it stands in a source.
type unverifiedFile struct {
	title   string
	role    string
	version int64
	data    []byte
}

var metadataTitle = regexp.MustCompile(`^metadata/(?:([1-9][0-9]*)\.)?([^/]+)\.json$`)

// inspectUnverified shows what a source says about itself.
func (a *app) inspectUnverified(ctx context.Context, p *pin) (*inspectResult, error) {
	view, files, err := a.readUnverified(ctx, p)
	if err != nil {
		return nil, err
	}
	r := &inspectResult{
		reading:   reading{Source: sourceWord(string(view.Source().Kind))},
		Reference: p.source.String(), Roles: []inspectRole{},
	}
	if b := view.Bundle(); b != nil {
		r.Digest = b.Descriptor.Digest.String()
	}
	for _, f := range files {
		role, err := f.describe()
		if err != nil {
			return nil, err
		}
		r.Roles = append(r.Roles, role)
	}
	return r, nil
}

func (a *app) inspectUnverifiedRole(ctx context.Context, p *pin, arg string) (*inspectRoleResult, error) {
	view, files, err := a.readUnverified(ctx, p)
	if err != nil {
		return nil, err
	}
	name, version := splitRole(arg)
	for _, f := range files {
		if f.role == name && (version == 0 || f.version == version) {
			r := &inspectRoleResult{
				reading:   reading{Source: sourceWord(string(view.Source().Kind))},
				Reference: p.source.String(), Role: name, unpinned: true,
			}
			return r.hold(f.data)
		}
	}
	return nil, &noRoleError{role: arg}
}

// readUnverified reads the metadata files of a source: of each role the newest
// version.
func (a *app) readUnverified(ctx context.Context, p *pin) (*fetcher.View, []unverifiedFile, error) {
	view, err := fetcher.Open(ctx, p.source, fetcher.Options{Client: p.options.Client, Warn: a.warn})
	if err != nil {
		return nil, nil, err
	}
	a.warn("nothing vouches for " + p.source.String() + ": what follows is not verified")
	titles := view.Titles()
	if titles == nil {
		if titles, err = titlesOnServer(ctx, view); err != nil {
			return nil, nil, err
		}
	}
	newest := map[string]unverifiedFile{}
	for _, title := range titles {
		f, ok := parseTitle(title)
		if ok && (newest[f.role].title == "" || f.version > newest[f.role].version) {
			newest[f.role] = f
		}
	}
	files := make([]unverifiedFile, 0, len(newest))
	for _, f := range newest {
		if f.data, err = view.File(ctx, f.title, f.limit()); err != nil {
			return nil, nil, err
		}
		if err := trust.Precheck(f.role, f.data); err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, compareRoles)
	return view, files, nil
}

// titlesOnServer goes from the timestamp to the snapshot to the targets: a web
// server cannot be asked what it has, and what nobody has signed for decides on
// no more than these three requests.
func titlesOnServer(ctx context.Context, view *fetcher.View) ([]string, error) {
	titles := []string{"metadata/timestamp.json"}
	for _, next := range []struct{ from, to string }{{"timestamp", "snapshot"}, {"snapshot", "targets"}} {
		f := unverifiedFile{title: titles[len(titles)-1], role: next.from}
		data, err := view.File(ctx, f.title, f.limit())
		if err != nil {
			return nil, err
		}
		version, err := listedVersion(next.from, data, next.to)
		if err != nil {
			return nil, err
		}
		f = unverifiedFile{title: fmt.Sprintf("metadata/%d.%s.json", version, next.to), role: next.to}
		if _, err := view.File(ctx, f.title, f.limit()); errors.Is(err, fetcher.ErrFileNotFound) {
			f.title = "metadata/" + next.to + ".json" // without consistent snapshots
		}
		titles = append(titles, f.title)
	}
	return titles, nil
}

// listedVersion is the version of a role that a timestamp or snapshot lists.
func listedVersion(from string, data []byte, role string) (int64, error) {
	if err := trust.Precheck(from, data); err != nil {
		return 0, err
	}
	var file struct {
		Signed struct {
			Meta map[string]struct {
				Version int64 `json:"version"`
			} `json:"meta"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return 0, fmt.Errorf("%w: %s: %v", trust.ErrMalformed, from, err)
	}
	return file.Signed.Meta[role+".json"].Version, nil
}

func parseTitle(title string) (unverifiedFile, bool) {
	m := metadataTitle.FindStringSubmatch(title)
	if m == nil {
		return unverifiedFile{}, false
	}
	role, err := url.PathUnescape(m[2])
	if err != nil {
		return unverifiedFile{}, false
	}
	version, _ := strconv.ParseInt(m[1], 10, 64) // without a version: 0
	return unverifiedFile{title: title, role: role, version: version}, true
}

// limit is how long the file may be.
func (f unverifiedFile) limit() int64 {
	limits := fetcher.DefaultLimits()
	switch f.role {
	case "root":
		return limits.Root
	case "timestamp":
		return limits.Timestamp
	case "snapshot":
		return limits.Snapshot
	default:
		return limits.Targets
	}
}

// compareRoles puts the top-level roles first.
func compareRoles(x, y unverifiedFile) int {
	top := []string{"root", "timestamp", "snapshot", "targets"}
	rank := func(f unverifiedFile) int {
		if i := slices.Index(top, f.role); i >= 0 {
			return i
		}
		return len(top)
	}
	if d := rank(x) - rank(y); d != 0 {
		return d
	}
	if x.role < y.role {
		return -1
	}
	return 1
}

// describe reads what the file says.
func (f unverifiedFile) describe() (inspectRole, error) {
	var file struct {
		Signed struct {
			Version     int64                      `json:"version"`
			Expires     time.Time                  `json:"expires"`
			Targets     map[string]json.RawMessage `json:"targets"`
			Delegations struct {
				Roles []struct {
					Name string `json:"name"`
				} `json:"roles"`
			} `json:"delegations"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(f.data, &file); err != nil {
		return inspectRole{}, fmt.Errorf("%w: %s: %v", trust.ErrMalformed, f.title, err)
	}
	sum := sha256.Sum256(f.data)
	out := inspectRole{
		Role: f.role, Version: file.Signed.Version, Expires: moment{file.Signed.Expires}, Length: int64(len(f.data)),
		SHA256: hex.EncodeToString(sum[:]), Targets: len(file.Signed.Targets),
		KeyIDs: []string{}, Delegators: []string{}, Paths: []string{}, Delegations: []string{},
	}
	for _, d := range file.Signed.Delegations.Roles {
		out.Delegations = append(out.Delegations, d.Name)
	}
	return out, nil
}
