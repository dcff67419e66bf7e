package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/trust"
)

// unverifiedMark starts each line of what nothing vouches for.
const unverifiedMark = "UNVERIFIED "

// maxUnverified is how much metadata is shown that nothing vouches for, in bytes: anybody
// who can write to a source chooses how much there is.
const maxUnverified = 4 << 20

// unverifiedFile is a metadata file as it stands in a source.
type unverifiedFile struct {
	title   string
	role    string
	version int64
}

var metadataTitle = regexp.MustCompile(`^metadata/(?:([1-9][0-9]*)\.)?([^/]+)\.json$`)

// inspectUnverified shows what a source says about itself.
func (a *app) inspectUnverified(ctx context.Context, p *pin) (*inspectResult, error) {
	view, files, err := a.listUnverified(ctx, p)
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
	left := maxUnverified
	var leftOut []string
	for _, f := range files {
		var data []byte
		if left >= 0 {
			data, err = f.read(ctx, view)
		}
		if left < 0 || errors.Is(err, fetcher.ErrLimit) {
			leftOut = append(leftOut, f.role)
			continue
		}
		if err != nil {
			return nil, err
		}
		left -= len(data)
		role, err := f.describe(data)
		if err != nil {
			return nil, err
		}
		r.Roles = append(r.Roles, role)
	}
	if len(leftOut) > 0 {
		a.warn(fmt.Sprintf("so much is read only from a pin, with --root FILE: %s left out, %q first", count(len(leftOut), "role"), leftOut[0]))
	}
	return r, nil
}

func (a *app) inspectUnverifiedRole(ctx context.Context, p *pin, arg string) (*inspectRoleResult, error) {
	view, files, err := a.listUnverified(ctx, p)
	if err != nil {
		return nil, err
	}
	name, version := splitRole(arg)
	for _, f := range files {
		if f.role == name && (version == 0 || f.version == version) {
			data, err := f.read(ctx, view)
			if err != nil {
				return nil, err
			}
			r := &inspectRoleResult{
				reading:   reading{Source: sourceWord(string(view.Source().Kind))},
				Reference: p.source.String(), Role: name, unpinned: true,
			}
			return r.hold(data)
		}
	}
	return nil, &noRoleError{role: arg}
}

// listUnverified lists the metadata files of a source: of each role the newest version.
func (a *app) listUnverified(ctx context.Context, p *pin) (*fetcher.View, []unverifiedFile, error) {
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
	return view, slices.SortedFunc(maps.Values(newest), compareRoles), nil
}

// read reads the file, which may be as long as one that nobody has stated anything of.
func (f unverifiedFile) read(ctx context.Context, view *fetcher.View) ([]byte, error) {
	limits := fetcher.DefaultLimits()
	most := limits.Unhashed
	switch f.role {
	case "root":
		most = limits.Root
	case "timestamp":
		most = limits.Timestamp
	}
	data, err := view.File(ctx, f.title, most)
	if err != nil {
		return nil, err
	}
	return data, trust.Precheck(f.role, data)
}

// titlesOnServer goes from the timestamp to the snapshot to the targets: a web
// server cannot be asked what it has, and what nobody has signed for decides on
// no more than these three requests.
func titlesOnServer(ctx context.Context, view *fetcher.View) ([]string, error) {
	titles := []string{"metadata/timestamp.json"}
	for _, next := range []struct{ from, to string }{{"timestamp", "snapshot"}, {"snapshot", "targets"}} {
		f := unverifiedFile{title: titles[len(titles)-1], role: next.from}
		data, err := f.read(ctx, view)
		if err != nil {
			return nil, err
		}
		version, err := listedVersion(next.from, data, next.to)
		if err != nil {
			return nil, err
		}
		f = unverifiedFile{title: fmt.Sprintf("metadata/%d.%s.json", version, next.to), role: next.to}
		if _, err := f.read(ctx, view); errors.Is(err, fetcher.ErrFileNotFound) {
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
	return strings.Compare(x.role, y.role)
}

// describe reads what the file says.
func (f unverifiedFile) describe(data []byte) (inspectRole, error) {
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
	if err := json.Unmarshal(data, &file); err != nil {
		return inspectRole{}, fmt.Errorf("%w: %s: %v", trust.ErrMalformed, f.title, err)
	}
	sum := sha256.Sum256(data)
	out := inspectRole{
		Role: f.role, Version: file.Signed.Version, Expires: moment{file.Signed.Expires}, Length: int64(len(data)),
		SHA256: hex.EncodeToString(sum[:]), Targets: len(file.Signed.Targets),
		KeyIDs: []string{}, Delegators: []string{}, Paths: []string{}, Delegations: []string{},
	}
	for _, d := range file.Signed.Delegations.Roles {
		out.Delegations = append(out.Delegations, d.Name)
	}
	return out, nil
}
