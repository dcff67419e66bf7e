package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/trust"
)

// docs/limits.md has each limit that a trust may set, with its numbers, and each
// constant that bounds a client, with the value that stands in the code.
func TestLimitsDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	_, settable, _ := strings.Cut(string(data), "\n## 1. ")
	settable, rest, _ := strings.Cut(settable, "\n## 2. ")
	_, fixed, _ := strings.Cut(rest, "\n## 3. ")

	var documented []string
	for _, row := range limitRows(settable) {
		documented = append(documented, row[0])
	}
	var names []string
	for i, limit := range trust.AllLimits() {
		names = append(names, limit.Name)
		want := []string{limit.Name, limit.Format(limit.Default), limit.Format(limit.Ceiling), string(limit.Unit)}
		if i < len(documented) && !slices.Equal(limitRows(settable)[i][:4], want) {
			t.Errorf("documented %q, want %q", limitRows(settable)[i][:4], want)
		}
	}
	if !slices.Equal(documented, names) {
		t.Errorf("documented %q, want %q", documented, names)
	}

	code, known := declarations{}, map[string]bool{}
	for _, row := range limitRows(fixed) {
		known[row[0]] = true
		pkg, name, _ := strings.Cut(row[0], ".")
		if got, want := limitValue(t, row[1]), code.value(t, pkg, name); got != want {
			t.Errorf("%s is documented as %s (%d), and is %d", row[0], row[1], got, want)
		}
	}
	// What only writers, or lint, are held to.
	notRead := []string{
		"ociremote.maxAnnotation", "ociremote.maxRepacks", "ociremote.maxPending", "ociremote.maxBuffered", "ociremote.maxIdle", "material.maxLost",
	}
	for _, pkg := range []string{"ociremote", "fetcher", "trust", "verify", "material"} {
		for name := range code.of(t, pkg) {
			if full := pkg + "." + name; strings.HasPrefix(strings.ToLower(name), "max") && !known[full] && !slices.Contains(notRead, full) {
				t.Errorf("%s is not documented", full)
			}
		}
	}
}

// limitRows are the rows of the tables of a text, their cells without back quotes.
func limitRows(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			row = append(row, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, row)
	}
	return rows
}

var sizeText = regexp.MustCompile(`^([0-9]+)(KiB|MiB|GiB)?$`)

// limitValue reads 4MiB, 30s or 32.
func limitValue(t *testing.T, text string) int64 {
	t.Helper()
	m := sizeText.FindStringSubmatch(text)
	if m == nil {
		d, err := period.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return int64(d)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
}

// declarations are the constants of packages, each package read once.
type declarations map[string]map[string]ast.Expr

// of are those that a package declares.
func (d declarations) of(t *testing.T, pkg string) map[string]ast.Expr {
	t.Helper()
	if known := d[pkg]; known != nil {
		return known
	}
	dir := pkg
	if pkg == "cli" {
		dir = "cmd/tufoci/cli"
	}
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]ast.Expr{}
	d[pkg] = found
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if i < len(value.Values) {
						found[name.Name] = value.Values[i]
					}
				}
			}
		}
	}
	return found
}

// value is that of one constant.
func (d declarations) value(t *testing.T, pkg, name string) int64 {
	t.Helper()
	declared := d.of(t, pkg)
	var value func(e ast.Expr) int64
	value = func(e ast.Expr) int64 {
		switch e := e.(type) {
		case *ast.BasicLit:
			n, err := strconv.ParseInt(e.Value, 0, 64)
			if err != nil {
				t.Fatalf("%s.%s: %v", pkg, name, err)
			}
			return n
		case *ast.Ident:
			if of, ok := declared[e.Name]; ok {
				return value(of)
			}
		case *ast.SelectorExpr:
			from := e.X.(*ast.Ident).Name
			if from != "time" {
				return d.value(t, from, e.Sel.Name)
			}
			return int64(map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name])
		case *ast.BinaryExpr:
			x, y := value(e.X), value(e.Y)
			switch e.Op {
			case token.SHL:
				return x << y
			case token.MUL:
				return x * y
			case token.SUB:
				return x - y
			}
		}
		t.Fatalf("%s.%s is declared in a way that this test does not read", pkg, name)
		return 0
	}
	expr, ok := declared[name]
	if !ok {
		t.Fatalf("%s has no constant %s", pkg, name)
	}
	return value(expr)
}
