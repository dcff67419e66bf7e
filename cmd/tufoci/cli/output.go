package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tufoci/tufoci/internal/stranger"
)

// Output formats.
const (
	formatText = "text"
	formatJSON = "json"
	formatTree = "tree"

	annotationTree = "tufoci.format.tree"
)

// schemaVersion is the version of the JSON documents. It grows when a member
// goes or changes its meaning, not when one is added.
const schemaVersion = 1

// document is the common part of every JSON document.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	Warnings      []string     `json:"warnings"`
	Error         *errorReport `json:"error,omitempty"`
}

func (d *document) common() *document { return d }

// reading is the further common part of results for which metadata was read.
type reading struct {
	Verified bool    `json:"verified"`
	Stale    bool    `json:"stale"`
	AsOf     *moment `json:"asOf"`
	Source   string  `json:"source"`
	Fork     *fork   `json:"fork"`
}

// judged is the time that expiry is shown against.
func (r reading) judged(a *app) time.Time {
	if r.AsOf != nil {
		return r.AsOf.Time
	}
	return a.world.Now()
}

// fork tells of one timestamp version that was seen with different bytes.
type fork struct {
	Version int64     `json:"version"`
	Digests [2]string `json:"digests"`
}

// result is what a command prints: one JSON document, or text.
type result interface {
	common() *document
	text(w io.Writer, a *app)
}

// print writes a result to standard output.
func (a *app) print(r result) error {
	var out bytes.Buffer
	if a.global.format == formatJSON {
		doc := r.common()
		doc.SchemaVersion = schemaVersion
		doc.Warnings = a.warned()
		if err := encodeJSON(&out, r); err != nil {
			return err
		}
	} else {
		r.text(&out, a)
	}
	_, err := a.world.Stdout.Write(out.Bytes())
	return err
}

// partialError is an error beside which there is a result.
type partialError struct {
	result result
	err    error
}

func (e *partialError) Error() string { return e.err.Error() }
func (e *partialError) Unwrap() error { return e.err }

// printAlso prints a result, also where an error came with it. r is nil where
// there is nothing but the error.
func printAlso[T any, R interface {
	*T
	result
}](a *app, r R, err error) error {
	switch {
	case err == nil:
		return a.print(r)
	case r == nil:
		return err
	default:
		return &partialError{result: r, err: err}
	}
}

func encodeJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeJSON(text.String()))
	return err
}

// escapeJSON escapes what encoding/json writes as it is and a terminal may obey: the
// values are the same, whoever parses them. None of it stands outside of strings, for
// indentation has line feeds and blanks only.
func escapeJSON(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r != '\n' && stranger.Obeyed(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// warn records a warning for the JSON document and prints it. Libraries call
// it from several goroutines.
func (a *app) warn(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.passing {
		a.warnings = append(a.warnings, text)
	}
	fmt.Fprintf(a.world.Stderr, "WARNING: %s\n", printable(oneLine(text)))
}

// warned are the warnings so far.
func (a *app) warned() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.warnings...)
}

// forgetWarnings is for what prints documents one after the other.
func (a *app) forgetWarnings() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.warnings = nil
}

// passWarnings is for what goes on after its one document: clients, whom nobody knows,
// can make a server warn without end.
func (a *app) passWarnings() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.warnings, a.passing = nil, true
}

// table prints rows in columns.
func table(w io.Writer, header []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeRow := func(cells []string) {
		for i, c := range cells {
			cells[i] = printable(c)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	writeRow(header)
	for _, r := range rows {
		writeRow(r)
	}
	t.Flush()
}

// printable replaces control characters, line breaks and marks that change the
// direction of text: names in metadata are the publisher's, a terminal must not
// obey them, and what they say must not pass for a line of ours.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if stranger.Obeyed(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
