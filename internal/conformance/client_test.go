package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// suite is one test of the suite: its repository, and the client under test, which it
// knows by exit codes, requests and files alone.
type suite struct {
	*simulator
	viaOCI bool
	// start runs the client and returns its exit code. Nil: in this process.
	start func(at time.Time, args []string, stderr *bytes.Buffer) int

	rootFile    []byte // of init
	metadataDir string
	targetDir   string
	// asksOtherwise: the suite's server saw other requests than the suite wants.
	asksOtherwise string
}

func newSuite(t *testing.T, name string, viaOCI bool) *suite {
	s := &suite{simulator: newSimulator(t, name), viaOCI: viaOCI, metadataDir: t.TempDir(), targetDir: t.TempDir()}
	s.rootFile = s.published["root"][0]
	return s
}

// client runs one command at a time.
func (s *suite) client(at time.Time, args ...string) int {
	s.t.Helper()
	args = append([]string{"--metadata-dir", s.metadataDir}, args...)
	if s.viaOCI {
		args = append([]string{"--via-oci"}, args...)
	}
	var stderr bytes.Buffer
	start := s.start
	if start == nil {
		start = func(at time.Time, args []string, stderr *bytes.Buffer) int {
			clock := func(context.Context) (time.Time, error) { return at, nil }
			return runAt(s.t.Context(), args, clock, &bytes.Buffer{}, stderr)
		}
	}
	code := start(at, args, &stderr)
	s.t.Logf("%s: exit code %d\n%s", strings.Join(args, " "), code, &stderr)
	if code == 1 && strings.Contains(stderr.String(), "panic") {
		s.t.Errorf("the client panicked: %s", &stderr)
	}
	return code
}

func (s *suite) init() {
	s.t.Helper()
	root := filepath.Join(s.targetDir, "..", filepath.Base(s.targetDir)+".root.json")
	s.check(os.WriteFile(root, s.rootFile, 0o600))
	s.exit(0, s.client(now, "init", root))
	if asked := s.asked(); len(asked) > 0 {
		s.t.Errorf("init asked for %q", asked)
	}
}

func (s *suite) exit(want, got int) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("exit code %d, want %d", got, want)
	}
}

// refresh refreshes and wants this exit code.
func (s *suite) refresh(want int) { s.t.Helper(); s.refreshAfter(0, want) }

func (s *suite) refreshAfter(after time.Duration, want int) {
	s.t.Helper()
	s.exit(want, s.client(now.Add(after), "--metadata-url", s.url("metadata"), "refresh"))
}

// download downloads targets and wants this exit code; -1: any.
func (s *suite) download(want int, names ...string) { s.t.Helper(); s.downloadAfter(0, want, names...) }

func (s *suite) downloadAfter(after time.Duration, want int, names ...string) {
	s.t.Helper()
	args := []string{"--metadata-url", s.url("metadata")}
	for _, name := range names {
		args = append(args, "--target-name", name)
	}
	args = append(args, "--target-dir", s.targetDir, "--target-base-url", s.url("targets"), "download")
	if code := s.client(now.Add(after), args...); want >= 0 {
		s.exit(want, code)
	}
}

// wantAsked compares the requests for metadata since the first with what the suite
// wants; skip of them do not matter.
func (s *suite) wantAsked(skip int, want ...string) {
	s.t.Helper()
	asked := s.asked()
	s.compare(asked[min(skip, len(asked)):], want)
}

// wantLastAsked compares the last request.
func (s *suite) wantLastAsked(want string) {
	s.t.Helper()
	asked := s.asked()
	s.compare(asked[max(len(asked)-1, 0):], []string{want})
}

func (s *suite) compare(asked, want []string) {
	s.t.Helper()
	if slices.Equal(asked, want) {
		return
	}
	s.asksOtherwise = fmt.Sprintf("requests %q, want %q", asked, want)
	if !s.viaOCI {
		s.t.Error(s.asksOtherwise) // with the line that wants them
	}
}

// wantFilesAsked compares the requests for target files, which are the same through a
// bundle: it is given each file when it is needed.
func (s *suite) wantFilesAsked(want ...string) {
	s.t.Helper()
	if asked := s.downloads(); !slices.Equal(asked, want) {
		s.t.Errorf("asked for the files %q, want %q", asked, want)
	}
}

// wantDownloaded compares the target files by the time of their last change.
func (s *suite) wantDownloaded(want ...string) {
	s.t.Helper()
	type file struct {
		changed time.Time
		content string
	}
	var files []file
	s.check(filepath.WalkDir(s.targetDir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		info, infoErr := entry.Info()
		if err == nil && infoErr == nil {
			files = append(files, file{info.ModTime(), string(data)})
		}
		return errors.Join(err, infoErr)
	}))
	slices.SortFunc(files, func(a, b file) int { return a.changed.Compare(b.changed) })
	var got []string
	for _, f := range files {
		got = append(got, f.content)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("downloaded %q, want %q", got, want)
	}
}

// trusted lists the trusted roles and their versions, "root 2", by file name.
func (s *suite) trusted() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.metadataDir, "*.json"))
	s.check(err)
	var roles []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		s.check(err)
		var metadata struct {
			Signed struct {
				Version int64 `json:"version"`
			} `json:"signed"`
		}
		s.check(json.Unmarshal(data, &metadata))
		roles = append(roles, fmt.Sprintf("%s %d", strings.TrimSuffix(filepath.Base(file), ".json"), metadata.Signed.Version))
	}
	return roles
}

func (s *suite) wantTrusted(want ...string) {
	s.t.Helper()
	if got := s.trusted(); !slices.Equal(got, want) {
		s.t.Errorf("trusted are %q, want %q", got, want)
	}
}

// wantVersions compares the versions of some roles; 0: not trusted.
func (s *suite) wantVersions(want map[string]int64) {
	s.t.Helper()
	trusted := s.trusted()
	for role, version := range want {
		found := slices.IndexFunc(trusted, func(t string) bool { return strings.HasPrefix(t, role+" ") })
		switch {
		case version == 0 && found >= 0, version > 0 && !slices.Contains(trusted, fmt.Sprintf("%s %d", role, version)):
			s.t.Errorf("trusted are %q, want %s v%d", trusted, role, version)
		}
	}
}

// wantBytes compares a trusted file with what was published.
func (s *suite) wantBytes(role string, want []byte) {
	s.t.Helper()
	got, err := os.ReadFile(filepath.Join(s.metadataDir, role+".json"))
	if err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("the trusted %s is not the one that was published (%v)", role, err)
	}
}
