package e2e

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every attack and every rule in docs/security.md names tests, and every test and every
// file of code that it names exists.
func TestSecurityDocumentNamesTests(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9-]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	code := regexp.MustCompile("`([a-z0-9/_]+\\.go)`")
	declared := map[string][]string{}
	for heading, least := range map[string]int{"2. Attacks": 10, "8. Rules of the client, and the test for each": 700} {
		_, section, _ := strings.Cut(string(document), "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		rows := 0
		for line := range strings.Lines(section) {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attack ") || strings.HasPrefix(line, "| rule ") {
				continue
			}
			rows++
			for _, file := range code.FindAllStringSubmatch(line, -1) {
				if _, err := os.Stat(filepath.Join("..", file[1])); err != nil {
					t.Error(err)
				}
			}
			tests := named.FindAllStringSubmatch(line, -1)
			if len(tests) == 0 {
				t.Errorf("no test is named: %s", line)
			}
			for _, test := range tests {
				if declared[test[1]] == nil {
					declared[test[1]] = testsOf(t, directoryOf(test[1]))
				}
				if !slices.Contains(declared[test[1]], test[2]) {
					t.Errorf("package %s has no %s", test[1], test[2])
				}
			}
		}
		if rows < least {
			t.Errorf("%d rows: the table of %q was not found", rows, heading)
		}
	}
}

// directoryOf is that of a package named in the document, which may lie in another one.
func directoryOf(pkg string) string {
	switch pkg {
	case "notationdir":
		return filepath.Join("verify", pkg)
	case "ownfile":
		return filepath.Join("internal", pkg)
	case "token":
		return filepath.Join("keys", pkg)
	case "cli":
		return filepath.Join("cmd", "tufoci", pkg)
	case "sigstore-kms-pkcs11":
		return filepath.Join("cmd", pkg)
	case "period":
		return filepath.Join("internal", pkg)
	}
	return pkg
}

// Every parser in the table of fuzz targets has them, and every target stands for one.
func TestSecurityDocumentNamesFuzzTargets(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## 9. Fuzzing\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`([a-z0-9-]+)\\.(Fuzz[A-Za-z0-9]+)`")
	var listed []string
	for line := range strings.Lines(section) {
		targets := named.FindAllStringSubmatch(line, -1)
		if len(targets) == 0 && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| what ") {
			t.Errorf("no target is named: %s", line)
		}
		for _, target := range targets {
			listed = append(listed, filepath.ToSlash(directoryOf(target[1]))+" "+target[2])
		}
	}
	var declared []string
	for _, file := range goFiles(t, "..") {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			declared = append(declared, path.Dir(file)+" "+m[1])
		}
	}
	for _, target := range declared {
		if !slices.Contains(listed, target) {
			t.Errorf("%s stands for no parser of docs/security.md", target)
		}
	}
	for _, target := range listed {
		if !slices.Contains(declared, target) {
			t.Errorf("%s is no fuzz target", target)
		}
	}
}

// testsOf lists the tests of a package by name.
func testsOf(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1])
		}
	}
	return names
}
