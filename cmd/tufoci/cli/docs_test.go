package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	// typedLine is a line that a page tells to type: behind a prompt.
	typedLine = regexp.MustCompile(`(?m)^\$ (?:[A-Z_]+=\S+ )*(tufoci .*)$`)
	// shellParts are what parts one command of a line from the next.
	shellParts = regexp.MustCompile(`&&|;;?|\||\)`)
)

// Each command that a page of the documents tells to type exists, with its flags.
func TestTypedCommandsExist(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	root, lines := newApp(World{}).newRoot(), 0
	for _, page := range append(pages, "../../../README.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range typedLine.FindAllStringSubmatch(string(data), -1) {
			line, _, _ := strings.Cut(m[1], " #")
			for _, command := range shellParts.Split(line, -1) {
				if words := strings.Fields(command); len(words) > 0 && words[0] == "tufoci" {
					lines++
					checkTyped(t, root, filepath.Base(page), words[1:])
				}
			}
		}
	}
	if lines < 50 {
		t.Errorf("%d lines: they were not found", lines)
	}
}

func checkTyped(t *testing.T, root *cobra.Command, page string, words []string) {
	t.Helper()
	line := strings.Join(words, " ")
	cmd, rest, err := root.Find(words)
	if err != nil || !cmd.Runnable() || cmd.HasSubCommands() {
		t.Errorf("%s: %q: no such command: %v", page, line, err)
		return
	}
	for _, word := range rest {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && name != "" && name != "help" && flagOf(cmd, name) == nil {
			t.Errorf("%s: %q: %s has no flag --%s", page, line, cmd.CommandPath(), name)
		}
	}
}

var (
	pageLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pageHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the places of a page that a link can name, by the rule of GitHub.
func anchors(page string) map[string]bool {
	found := map[string]bool{"": true}
	for _, m := range pageHeading.FindAllStringSubmatch(page, -1) {
		found[strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// Each link from one page to another, or within one, leads somewhere.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	top := filepath.Join("..", "..", "..")
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	links := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageLink.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			there, err := os.ReadFile(target)
			if err != nil {
				if info, statErr := os.Stat(target); statErr != nil || !info.IsDir() {
					t.Errorf("%s: %s: %v", page, m[1], err)
				}
				continue
			}
			if !anchors(string(there))[anchor] {
				t.Errorf("%s: %s: no such heading", page, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("%d links: they were not found", links)
	}
}
