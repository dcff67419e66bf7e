package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// maxRoots is how many roots are gathered, as many as a client follows at once.
const maxRoots = 1024

// document is what is read of a metadata file to find the next ones. What cannot be
// read names nothing, and goes into the bundle all the same.
type document struct {
	Signed struct {
		Version    int64 `json:"version"`
		Consistent bool  `json:"consistent_snapshot"`
		Meta       map[string]struct {
			Version int64 `json:"version"`
		} `json:"meta"`
	} `json:"signed"`
}

func read(data []byte) *document {
	var d document
	if json.Unmarshal(data, &d) != nil {
		return &document{}
	}
	return &d
}

// gather brings the metadata that the suite's server has now into the registry: every
// root from the pin on, timestamp, snapshot, targets and all delegated roles.
func (d *detour) gather(ctx context.Context) error {
	limits := fetcher.DefaultLimits()
	root := read(d.pin)
	first := root.Signed.Version
	d.files = []ociremote.Content{{Title: fmt.Sprintf("metadata/%d.root.json", first), Data: d.pin}}
	for version := first + 1; version < first+maxRoots; version++ {
		data, err := d.add(ctx, fmt.Sprintf("metadata/%d.root.json", version), limits.Root)
		if err != nil {
			return err
		}
		if data == nil {
			break
		}
		root = read(data)
	}
	title := func(role string, version int64) string {
		name := url.PathEscape(role) + ".json"
		if d.consistent {
			name = fmt.Sprintf("%d.%s", version, name)
		}
		return "metadata/" + name
	}
	d.consistent = root.Signed.Consistent
	timestamp, err := d.add(ctx, "metadata/timestamp.json", limits.Timestamp)
	if err != nil {
		return err
	}
	snapshot, err := d.addListed(ctx, timestamp, []string{"snapshot.json"}, title, limits.Snapshot)
	if err != nil {
		return err
	}
	roles := slices.Sorted(maps.Keys(read(snapshot).Signed.Meta))
	if i := slices.Index(roles, "targets.json"); i > 0 {
		roles = slices.Insert(slices.Delete(roles, i, i+1), 0, "targets.json")
	}
	if _, err := d.addListed(ctx, snapshot, roles, title, limits.Targets); err != nil {
		return err
	}
	return d.push(ctx)
}

// addListed adds the files of roles that a timestamp or snapshot lists, and returns the
// last one.
func (d *detour) addListed(ctx context.Context, list []byte, names []string, title func(string, int64) string, max int64) ([]byte, error) {
	meta := read(list).Signed.Meta
	var data []byte
	for _, name := range names {
		listed, ok := meta[name]
		role, isFile := strings.CutSuffix(name, ".json")
		if !ok || !isFile {
			continue
		}
		var err error
		if data, err = d.add(ctx, title(role, listed.Version), max); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// addTarget brings a target file into the registry, whatever it holds: under the first of
// its names that the suite's server knows.
func (d *detour) addTarget(ctx context.Context, target *trust.Target) error {
	titles := []string{"targets/" + target.Path}
	if d.consistent {
		titles = nil
		dir, base := path.Split(target.Path)
		for _, algorithm := range slices.Sorted(maps.Keys(target.Hashes)) {
			titles = append(titles, "targets/"+dir+target.Hashes[algorithm]+"."+base)
		}
	}
	for _, title := range titles {
		data, err := d.add(ctx, title, target.Length)
		if err != nil {
			return err
		}
		if data != nil {
			return d.push(ctx)
		}
	}
	return nil
}
