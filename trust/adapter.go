package trust

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// adapter serves go-tuf from one origin: every file within our own limits,
// checked before go-tuf parses it, and remembered.
type adapter struct {
	ctx      context.Context // of the one refresh that the adapter lives for
	origin   *origin
	limits   Limits
	placed   *os.Root // the directory that go-tuf reads; nil: nothing was placed
	reusable func() bool
	lastRoot int64                  // the highest version that is followed
	stated   func(role string) bool // see there
	// timestamp, if not nil, is the answer in place of the source's.
	timestamp []byte

	served map[string][]byte           // by file name
	newest *tuf.Metadata[tuf.RootType] // root that go-tuf has verified
	// sawNewestRoot: the source does not have the root after newest.
	sawNewestRoot bool

	lastRole    string
	lastVersion int64
	err         error // of the source or of Precheck
}

// DownloadFile implements go-tuf's Fetcher.
func (a *adapter) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, baseURL)
	role, version := splitFileName(name)
	a.lastRole, a.lastVersion = role, version
	data, err := a.download(name, role, version, maxLength)
	if err != nil && !errors.Is(err, errReuse) {
		if isType[*tuf.ErrDownloadHTTP](err) {
			return nil, err
		}
		a.err = err
	}
	return data, err
}

func (a *adapter) download(name, role string, version, maxLength int64) ([]byte, error) {
	limit := a.limits.Targets
	switch role {
	case tuf.ROOT:
		limit = a.limits.Root
		if err := a.rootVerified(version - 1); err != nil {
			return nil, err
		}
	case tuf.TIMESTAMP:
		limit = a.limits.Timestamp
		if a.timestamp != nil {
			a.served[name] = a.timestamp
			return a.timestamp, nil
		}
	case tuf.SNAPSHOT:
		limit = a.limits.Snapshot
	case tuf.TARGETS:
		if a.reusable() {
			return nil, errReuse
		}
	}
	if maxLength <= 0 || maxLength > limit {
		maxLength = limit
	}
	var data []byte
	var err error
	if role == tuf.ROOT || role == tuf.TIMESTAMP {
		data, err = a.origin.file(a.ctx, metadataDir+name, maxLength)
	} else {
		data, err = a.origin.roleFile(a.ctx, metadataDir+name, maxLength, a.stated(role), a.limits)
	}
	switch {
	case err == nil:
	case errors.Is(err, fetcher.ErrFileNotFound) && role == tuf.ROOT:
		// The one thing that tells go-tuf that there is no newer root.
		a.sawNewestRoot = true
		return nil, &tuf.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	case errors.Is(err, fetcher.ErrFileNotFound):
		return nil, &VerificationError{
			Kind: ErrStaleCopy, Role: role, Version: version, Source: a.origin.source.String(),
			Detail: "the copy at hand does not hold it", Err: err,
		}
	default:
		return nil, err
	}
	if role == tuf.ROOT && version > a.lastRoot {
		return nil, errMoreRoots
	}
	a.served[name] = data
	if err := precheckWithin(role, data, a.limits.Values); err != nil {
		err.(*VerificationError).Version, err.(*VerificationError).Source = version, a.origin.source.String()
		return nil, err
	}
	return data, nil
}

// rootVerified is called when go-tuf asks for the root after version: so that
// one has verified. If it revoked keys of timestamp or snapshot, the stored ones
// are removed before go-tuf reads them (TUF spec 5.3.11).
func (a *adapter) rootVerified(version int64) error {
	data, ok := a.served[rootFileName(version)]
	if !ok {
		return nil
	}
	meta, err := parse[tuf.RootType](tuf.ROOT, data)
	if err != nil {
		return err
	}
	if rotates(a.newest, meta) {
		if err := a.removePlaced(); err != nil {
			return err
		}
	}
	a.newest = meta
	return nil
}

// removePlaced removes the stored timestamp and snapshot from the directory that was
// made for them, and from no other that somebody has put in its place.
func (a *adapter) removePlaced() error {
	if a.placed == nil {
		return nil
	}
	for _, name := range []string{"timestamp.json", "snapshot.json"} {
		if err := a.placed.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// asked returns what was served of a role whose file name may have a version.
func (a *adapter) asked(role string) []byte {
	for name, data := range a.served {
		if found, _ := splitFileName(name); found == role {
			return data
		}
	}
	return nil
}

// splitFileName reads the role and, if there is one, the version of a file name
// of a top-level role.
func splitFileName(name string) (role string, version int64) {
	role = strings.TrimSuffix(name, ".json")
	if number, rest, ok := strings.Cut(role, "."); ok {
		if v, err := strconv.ParseInt(number, 10, 64); err == nil {
			return rest, v
		}
	}
	return role, 0
}
