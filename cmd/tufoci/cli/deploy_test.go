package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const top = "../../.." // of the working tree

// Each tufoci command line of a recipe in deploy/ is one of this version: the command
// exists, and takes these flags and arguments.
func TestRecipes(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	err := fs.WalkDir(os.DirFS(filepath.Join(top, "deploy")), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(top, "deploy", name))
		if err != nil {
			return err
		}
		lines := recipeLines(string(data))
		if filepath.Ext(name) == ".yaml" {
			if lines, err = yamlLines(data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, line := range lines {
			if err := parses(line); err != nil {
				t.Errorf("%s: tufoci %s: %v", name, strings.Join(line, " "), err)
			}
			found[filepath.Dir(name)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, n := range map[string]int{"cron": 4, "systemd": 4, "kubernetes": 3, "github": 2} {
		if found[place] < n {
			t.Errorf("%d command lines were found in deploy/%s, want %d", found[place], place, n)
		}
	}
	if parses([]string{"refresh", "acme", "--evry", "1h"}) == nil || parses([]string{"check", "a", "b"}) == nil || parses([]string{"fresh"}) == nil {
		t.Error("anything passes")
	}
}

// recipeLines are the command lines in a text, where tufoci is followed by a command.
func recipeLines(text string) [][]string {
	var names []string
	for _, cmd := range newApp(World{}).newRoot().Commands() {
		names = append(names, cmd.Name())
	}
	command := regexp.MustCompile(`(?:^|[\s/="])tufoci ((?:` + strings.Join(names, "|") + `) [^|&>#;\n]*)`)
	var lines [][]string
	for _, m := range command.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Fields(m[1]))
	}
	return lines
}

// yamlLines are those in the documents of a YAML file: args of containers whose image
// runs tufoci, and steps that run one command.
func yamlLines(data []byte) ([][]string, error) {
	var lines [][]string
	documents := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		switch err := documents.Decode(&document); {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, err
		}
		visit(&document, func(key string, value *yaml.Node) {
			var words []string
			switch {
			case key == "args" && value.Decode(&words) == nil:
				lines = append(lines, words)
			case key == "run":
				lines = append(lines, recipeLines(value.Value)...)
			}
		})
	}
}

// visit shows each member of each mapping.
func visit(n *yaml.Node, do func(key string, value *yaml.Node)) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			do(n.Content[i-1].Value, child)
		}
		visit(child, do)
	}
}

// parses says why a command line is none of this version.
func parses(words []string) error {
	cmd, rest, err := newApp(World{}).newRoot().Find(words)
	if err != nil {
		return err
	}
	if !cmd.Runnable() || cmd.HasSubCommands() {
		return errors.New("no such command")
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return errors.Join(cmd.ValidateArgs(cmd.Flags().Args()), cmd.ValidateFlagGroups())
}

// The image holds the binary that `make build` makes, and nothing that would let
// somebody in.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	build := regexp.MustCompile(`(?m)^(?:\t|RUN )(.*go build .* \./cmd/tufoci)$`)
	ours, theirs := build.FindStringSubmatch(read("Makefile")), build.FindStringSubmatch(read("Dockerfile"))
	if ours == nil || theirs == nil || ours[1] != theirs[1] {
		t.Errorf("Makefile builds with %q, Dockerfile with %q", ours, theirs)
	}
	_, image, _ := strings.Cut(read("Dockerfile"), "\nFROM scratch\n")
	for _, want := range []string{"USER 65532:65532\n", `ENTRYPOINT ["/tufoci"]`, "COPY --from=build /image/ /\n"} {
		if !strings.Contains(image, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	ignored := strings.Fields(read(".gitignore"))
	for line := range strings.Lines(read(".dockerignore")) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "**/")
		if line != "" && !strings.HasPrefix(line, "#") && !slices.Contains(ignored, line) {
			t.Errorf(".dockerignore leaves out %s, which git has: the binary would call itself modified", line)
		}
	}
}

// cron looks for programs in few places, and the units say where tufoci is.
func TestCronFindsTheProgram(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(top, "deploy", "cron", "tufoci"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^PATH=/usr/local/bin:`).Match(data) {
		t.Error("PATH lacks /usr/local/bin")
	}
}
