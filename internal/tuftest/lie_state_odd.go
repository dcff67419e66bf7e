package tuftest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Odd is a JSON text that stands where something else is due.
type Odd struct {
	Name string
	Text string
}

// OddValues stand at every position of every file in turn.
func OddValues() []Odd {
	return []Odd{
		{"null", "null"},
		{"true", "true"},
		{"false", "false"},
		{"a-number", "7"},
		{"a-negative-number", "-1"},
		{"a-fraction", "0.5"},
		{"an-exponent", "1e3"},
		{"a-number-above-2-53", "9007199254740992"},
		{"a-number-above-all", "1e99999"},
		{"a-number-of-many-digits", strings.Repeat("9", 400)},
		{"an-empty-string", `""`},
		{"a-string", `"x"`},
		{"a-long-string", `"` + strings.Repeat("long", 1<<8) + `"`},
		{"a-string-with-half-a-pair", `"\ud800"`},
		{"a-string-with-a-zero", `"\u0000"`},
		{"an-empty-array", "[]"},
		{"an-array", `[null, {"x": [1]}]`},
		{"an-empty-object", "{}"},
		{"an-object", `{"x": null}`},
		{"deep-arrays", strings.Repeat("[", 100) + strings.Repeat("]", 100)},
		{"deep-objects", strings.Repeat(`{"x":`, 100) + "1" + strings.Repeat("}", 100)},
	}
}

// EveryPosition visits each value inside a JSON text: where it is, what it is, and
// the text in which another one stands there.
func EveryPosition(t testing.TB, data []byte, visit func(path []string, old any, with func(text string) []byte)) {
	t.Helper()
	const here = "\x00 here \x00"
	placeholder, err := json.Marshal(here)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := rawNumbers(data)
	if err != nil {
		t.Fatal(err)
	}
	walkJSON(tree, nil, func(path []string, old any, put func(any)) {
		put(here)
		changed, err := json.Marshal(tree)
		put(old)
		if err != nil {
			t.Fatal(err)
		}
		before, after, _ := bytes.Cut(changed, placeholder)
		visit(path, old, func(text string) []byte { return slices.Concat(before, []byte(text), after) })
	})
}

// walkJSON visits every value below a tree, with a way to put another one there.
func walkJSON(tree any, path []string, visit func(path []string, old any, put func(any))) {
	child := func(name string, old any, put func(any)) {
		at := append(slices.Clone(path), name)
		visit(at, old, put)
		walkJSON(old, at, visit)
	}
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			child(name, tree[name], func(v any) { tree[name] = v })
		}
	case []any:
		for i, old := range tree {
			child(fmt.Sprint(i), old, func(v any) { tree[i] = v })
		}
	}
}

// OddText is an edit of the text of a whole file.
type OddText struct {
	Name string
	Edit func(data []byte) []byte
}

// OddTexts are made of a file that is right.
func OddTexts() []OddText {
	replace := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
	}
	return []OddText{
		{"nothing", func([]byte) []byte { return []byte("\n") }},
		{"null", func([]byte) []byte { return []byte("null") }},
		{"an-array-around", func(data []byte) []byte { return fmt.Appendf(nil, "[%s]", data) }},
		{"a-byte-order-mark", func(data []byte) []byte { return append([]byte("\xef\xbb\xbf"), data...) }},
		{"a-second-text-behind", func(data []byte) []byte { return append(data, "{}"...) }},
		{"the-same-text-again", func(data []byte) []byte { return append(data, data...) }},
		{"a-zero-byte-behind", func(data []byte) []byte { return append(data, 0) }},
		{"other-bytes-than-utf-8", replace(`"_type":"`, "\"x\":\"\xff\xfe\",\"_type\":\"")},
		{"an-overlong-letter", replace(`"_type":"`, "\"x\":\"\xc0\xae\",\"_type\":\"")},
		{"two-bytes-a-letter", func(data []byte) []byte {
			var wide []byte
			for _, b := range data {
				wide = append(wide, b, 0)
			}
			return append([]byte("\xff\xfe"), wide...)
		}},
		{"a-comment", replace("{", "{/* */")},
		{"a-comma-too-many", replace(`"signatures":[`, `"signatures":[,`)},
		{"single-quotes", func(data []byte) []byte { return bytes.ReplaceAll(data, []byte(`"`), []byte("'")) }},
		{"a-raw-line-break-in-a-string", replace(`"_type":"`, "\"_type\":\"\n")},
		{"a-member-twice", replace(`"_type":`, `"_type":"root","_type":`)},
		{"a-member-twice-in-escapes", replace(`"version":`, `"\u0076ersion":1,"version":`)},
		{"the-signed-part-twice", replace(`"signatures":`, `"signed":{},"signatures":`)},
		{"a-member-in-capitals", replace(`"version":`, `"VERSION":1,"version":`)},
		{"a-member-in-other-letters", replace(`"spec_version":`, "\"ſpec_version\":\"1.0.31\",\"spec_version\":")},
		{"an-html-page", func([]byte) []byte { return []byte("<!DOCTYPE html><html></html>") }},
		{"a-leading-zero", replace(`"version":`, `"version":0`)},
		{"a-plus-sign", replace(`"version":`, `"version":+`)},
		{"not-a-number", replace(`"version":`, `"version":NaN,"x":`)},
	}
}

// oddStates are files with odd texts and values, one file for each: every position of
// all files is for tests that need no place. What names the file names it as it is.
func oddStates() []Lie {
	labels := append([]string{"root"}, roleLabels...)
	var lies []Lie
	add := func(label, name string, edit func(r *Repo, data []byte) []byte) {
		lies = append(lies, Lie{Name: label + "-with-" + name, Keys: above(label), Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			later := told(t, repo).evilIn(label)
			later.Tamper(later.label(label), func(data []byte) []byte { return edit(later, data) })
			p.Put(later.Files(), PackOptions{})
		}})
	}
	for i, odd := range OddTexts() {
		add(labels[i%len(labels)], odd.Name, func(_ *Repo, data []byte) []byte { return odd.Edit(data) })
	}
	for i, odd := range OddValues() {
		add(labels[i%len(labels)], odd.Name, func(r *Repo, data []byte) []byte { return misplace(r, data, odd, i) })
	}
	return lies
}

// misplace puts a text where a value of another kind is due, at one of those positions.
func misplace(r *Repo, data []byte, odd Odd, choice int) []byte {
	r.t.Helper()
	var all [][]byte
	var value any
	_ = json.Unmarshal([]byte(odd.Text), &value) // a number that is none here is nil, and of no kind
	EveryPosition(r.t, data, func(_ []string, old any, with func(string) []byte) {
		if kindOf(old) != kindOf(value) && (kindOf(old) != aNumber || odd.Text[0] > '9') {
			all = append(all, with(odd.Text))
		}
	})
	return all[choice*7%len(all)]
}

// Kinds of JSON values.
const (
	anObject = "object"
	anArray  = "array"
	aString  = "string"
	aNumber  = "number"
	aBool    = "bool"
)

// kindOf is the kind of a JSON value; "" for null.
func kindOf(value any) string {
	switch value.(type) {
	case map[string]any:
		return anObject
	case []any:
		return anArray
	case string:
		return aString
	case json.Number, float64:
		return aNumber
	case bool:
		return aBool
	}
	return ""
}
