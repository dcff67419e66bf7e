package dct

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// onceEach refuses a document in which an object has a member twice. The canonical form
// that is signed has the last of them, while parsing adds the entries of both together:
// what stands in the first would be taken and was signed by nobody.
func onceEach(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var open []*object
	for {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if end, ok := token.(json.Delim); ok && (end == '}' || end == ']') {
			open = open[:len(open)-1]
		} else {
			if len(open) > 0 {
				if err := open[len(open)-1].takes(token); err != nil {
					return err
				}
			}
			switch token {
			case json.Delim('{'):
				open = append(open, &object{members: map[string]bool{}})
			case json.Delim('['):
				open = append(open, &object{})
			}
		}
		if len(open) == 0 {
			return nil // what follows the document is for the parser
		}
	}
}

// object is one that is being read; an array has no members.
type object struct {
	members map[string]bool
	value   bool // a member has been named, and its value is next
}

// takes takes the next token in an object: the name of a member, or the start of its
// value.
func (o *object) takes(token json.Token) error {
	if o.members == nil {
		return nil
	}
	if o.value = !o.value; !o.value {
		return nil
	}
	name, _ := token.(string) // the decoder takes nothing else here
	if o.members[name] {
		return fmt.Errorf("member %q stands twice in one object", name)
	}
	o.members[name] = true
	return nil
}
