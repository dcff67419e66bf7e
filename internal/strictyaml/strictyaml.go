// Package strictyaml reads the YAML files that people write for tufoci: one document
// each, without members that the program does not know. What is wrong is said in the
// words of the file, with its line, never in the types of the program.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads the one document in data into a struct. The error is of the first of
// several faults.
func Decode(data []byte, to any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(to); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		}
		return inPlainWords(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

var (
	unknownField = regexp.MustCompile(`(?s)^(line \d+): field (.*) not found in type \S+$`)
	otherType    = regexp.MustCompile(`(?s)^(line \d+): cannot unmarshal !!(\S+?)(?: ` + "`(.*)`" + `)? into (\S+)$`)
)

// inPlainWords takes the types of the program out of what the decoder says.
func inPlainWords(err error) error {
	faults, ok := errors.AsType[*yaml.TypeError](err)
	if !ok || len(faults.Errors) == 0 {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	first := faults.Errors[0]
	if found := unknownField.FindStringSubmatch(first); found != nil {
		return fmt.Errorf("%s: field %q is not known", found[1], found[2])
	}
	if found := otherType.FindStringSubmatch(first); found != nil {
		got, ok := namesOfTags[found[2]]
		if !ok {
			got = strconv.Quote(found[3])
		}
		return fmt.Errorf("%s: want %s, got %s", found[1], nameOfType(found[4]), got)
	}
	return errors.New(first)
}

var namesOfTags = map[string]string{"map": "names with values", "seq": "a list", "null": "nothing"}

// nameOfType is what people call a Go type in a file. Those of this program are
// structs: others read themselves.
func nameOfType(t string) string {
	switch {
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case t == "string":
		return "text"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	default:
		return "names with values"
	}
}
