package strictyaml_test

import (
	"reflect"
	"testing"

	"github.com/tufoci/tufoci/internal/strictyaml"
)

type file struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	Whole  uint              `yaml:"whole"`
	On     bool              `yaml:"on"`
	List   []string          `yaml:"list"`
	Texts  map[string]string `yaml:"texts"`
	Things map[string]thing  `yaml:"things"`
	Order  []thing           `yaml:"order"`
}

type thing struct {
	Size int `yaml:"size"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var got file
	text := "# made by hand\nname: 5\ncount: 3\non: true\nlist: [a, b]\ntexts: {a: b}\nthings: {x: {size: 1}}\norder: [{size: 2}]\n"
	if err := strictyaml.Decode([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := file{
		Name: "5", Count: 3, On: true, List: []string{"a", "b"}, Texts: map[string]string{"a": "b"},
		Things: map[string]thing{"x": {1}}, Order: []thing{{2}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestFaultsInPlainWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "it is empty",
		"# only a comment\n":          "it is empty",
		"name: a\n---\nname: b\n":     "more than one document",
		"name: a\n---\n\tx\n":         "line 3: found character that cannot start any token",
		"nam: a\n":                    `line 1: field "nam" is not known`,
		"a b: c\n":                    `line 1: field "a b" is not known`,
		"things:\n  x:\n    siz: 3\n": `line 3: field "siz" is not known`,
		"name: a\nname: b\n":          `line 2: mapping key "name" already defined at line 1`,
		"text\n":                      `line 1: want names with values, got "text"`,
		"[]\n":                        "line 1: want names with values, got a list",
		"name: [a]\n":                 "line 1: want text, got a list",
		"name: {a: b}\n":              "line 1: want text, got names with values",
		"count: many\n":               `line 1: want a whole number, got "many"`,
		"whole: -1\n":                 `line 1: want a whole number, got "-1"`,
		"on: 3\n":                     `line 1: want true or false, got "3"`,
		"list: 5\n":                   `line 1: want a list, got "5"`,
		"texts: [a]\n":                "line 1: want names with values, got a list",
		"texts: {a: [b]}\n":           "line 1: want text, got a list",
		"things: 3\n":                 `line 1: want names with values, got "3"`,
		"order: {a: b}\n":             "line 1: want a list, got names with values",
		"order: [3]\n":                `line 1: want names with values, got "3"`,
		"on: |\n  two\n  lines\n":     `line 1: want true or false, got "two\nlines\n"`,
		`on: "\e[2J"`:                 `line 1: want true or false, got "\x1b[2J"`,
		"count: 1\nfor: 2\nin: 3\n":   `line 2: field "for" is not known`,
		"name: [\n":                   "line 1: did not find expected node content",
	} {
		err := strictyaml.Decode([]byte(text), new(file))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
