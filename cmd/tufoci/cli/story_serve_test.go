package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// server is a tufoci serve that goes on while a script does.
type server struct {
	process *exec.Cmd
	stdout  tuftest.Console
	stderr  tuftest.Console
	end     func() error // as a signal does
}

var servedURL = regexp.MustCompile(`https?://(127\.0\.0\.1|localhost):\d+`)

// cmdServe is "serve VARIABLE ARGUMENT...": tufoci serve with these arguments goes on
// until stop VARIABLE. Its URL is in $VARIABLE.
func (s *story) cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve VARIABLE ARGUMENT...")
	}
	v := &server{process: exec.Command(filepath.Join(s.program, "tufoci"), append([]string{"serve"}, args[1:]...)...)}
	v.process.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "DOCKER_CONFIG", "CLOCK"} {
		v.process.Env = append(v.process.Env, name+"="+ts.Getenv(name))
	}
	v.process.Stderr = &v.stderr
	out, err := v.process.StdoutPipe()
	ts.Check(err)
	ts.Check(v.process.Start())
	lines := bufio.NewReader(io.TeeReader(out, &v.stdout))
	v.end = sync.OnceValue(func() error {
		_ = v.process.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, lines)
		return v.process.Wait()
	})
	ts.Defer(func() { _ = v.end() })
	for {
		line, err := lines.ReadString('\n')
		if url := servedURL.FindString(line); url != "" {
			ts.Setenv(args[0], url)
			s.servers[args[0]] = v
			return
		}
		if err != nil {
			ts.Fatalf("it has ended: %v\n%s", v.end(), v.stderr.String())
		}
	}
}

// cmdStop is "stop VARIABLE": a signal ends the server, which succeeds. What it has
// printed is then the output.
func (s *story) cmdStop(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "stop VARIABLE")
	v := s.servers[args[0]]
	err := v.end()
	fmt.Fprint(ts.Stdout(), v.stdout.String())
	fmt.Fprint(ts.Stderr(), v.stderr.String())
	ts.Check(err)
}

// cmdFetch is "fetch STATUS URL": a GET gives this status, within 20 seconds. The body
// is the standard output, the header is on standard error.
func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "fetch STATUS URL")
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	var got int
	for range 400 {
		var body, header bytes.Buffer
		got, err = fetch(args[1], &body, &header)
		ts.Check(err)
		if got == status {
			_, _ = body.WriteTo(ts.Stdout())
			_, _ = header.WriteTo(ts.Stderr())
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s: status %d, want %d", args[1], got, status)
}

func fetch(url string, body, header *bytes.Buffer) (int, error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	if _, err := body.ReadFrom(r.Body); err != nil {
		return 0, err
	}
	return r.StatusCode, r.Header.Write(header)
}
