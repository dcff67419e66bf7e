package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

type inspectRoleResult struct {
	document
	reading
	Reference string          `json:"reference"`
	Role      string          `json:"role"`
	Version   int64           `json:"version"`
	Metadata  json.RawMessage `json:"metadata"`
	unpinned  bool            // nothing at all vouches for it
}

// splitRole reads ROLE or ROLE@VERSION; version 0 means the current one. A
// role's own name may hold an @.
func splitRole(arg string) (role string, version int64) {
	if i := strings.LastIndex(arg, "@"); i > 0 {
		if n, err := strconv.ParseInt(strings.TrimPrefix(arg[i+1:], "v"), 10, 64); err == nil && n > 0 {
			return arg[:i], n
		}
	}
	return arg, 0
}

func (a *app) inspectRole(ctx context.Context, p *pin, arg string) (*inspectRoleResult, error) {
	view, err := a.refresh(ctx, p)
	if err != nil {
		return nil, err
	}
	role, version := splitRole(arg)
	a.subject.roles = []string{role}
	r := &inspectRoleResult{reading: newReading(view), Reference: p.source.String(), Role: role}
	if role == "root" && version > 0 {
		data, ok := view.RootVersion(version)
		if !ok {
			return nil, &noVersionError{role: role, version: version}
		}
		return r.hold(data)
	}
	if err := hasRole(ctx, view, role); err != nil {
		return nil, err
	}
	data, err := view.Metadata(ctx, role)
	if err != nil {
		return nil, err
	}
	if r, err = r.hold(data); err != nil {
		return nil, err
	}
	if version > 0 && r.Version != version {
		return nil, &noVersionError{role: role, version: version, current: r.Version}
	}
	return r, nil
}

// hold takes the bytes of a role, which have been checked to be JSON.
func (r *inspectRoleResult) hold(data []byte) (*inspectRoleResult, error) {
	var file struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	r.Version, r.Metadata = file.Signed.Version, data
	return r, nil
}

// noVersionError says that a bundle holds another version of a role.
type noVersionError struct {
	role             string
	version, current int64
}

func (e *noVersionError) Error() string {
	if e.current == 0 {
		return fmt.Sprintf("%s v%d is not among what was verified", e.role, e.version)
	}
	return fmt.Sprintf("%s v%d is not here: this is v%d", e.role, e.version, e.current)
}

func (r *inspectRoleResult) text(w io.Writer, _ *app) {
	var out bytes.Buffer
	if err := json.Indent(&out, r.Metadata, "", "  "); err != nil {
		out.Write(r.Metadata)
	}
	mark := ""
	if r.unpinned {
		mark = unverifiedMark
	}
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		fmt.Fprintf(w, "%s%s\n", mark, printable(line))
	}
}
