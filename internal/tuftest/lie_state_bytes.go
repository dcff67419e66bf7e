package tuftest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// byteStates are files whose bytes were changed without a key, at their own place.
func byteStates() []Lie {
	var lies []Lie
	for _, label := range append([]string{"root"}, roleLabels...) {
		lie := func(name string, edit func(r *Repo, data []byte) []byte) {
			lies = append(lies, offering(label+name, func(r *Repo) map[string][]byte {
				later := r.evilIn(label)
				files := later.Files()
				title := later.Title(later.label(label))
				files[title] = edit(later, bytes.Clone(files[title]))
				return files
			}))
		}
		lie("-with-white-space-behind", func(_ *Repo, data []byte) []byte { return append(data, " \n"...) })
		lie("-of-an-endless-length", func(_ *Repo, data []byte) []byte { return append(data, bytes.Repeat([]byte(" "), 1<<20)...) })
		lie("-cut-off", func(_ *Repo, data []byte) []byte { return data[:len(data)-1] })
		lie("-empty", func(*Repo, []byte) []byte { return nil })
		lie("-in-another-order", func(r *Repo, data []byte) []byte { return reorder(r, data) })
		lie("-that-is-another-file", func(r *Repo, _ []byte) []byte { return other(r, label) })
	}
	return lies
}

// reorder writes the two members of a file in the other order, which changes neither
// its length nor what is signed.
func reorder(r *Repo, data []byte) []byte {
	r.t.Helper()
	var file struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures json.RawMessage `json:"signatures"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		r.t.Fatal(err)
	}
	out, err := json.Marshal(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// other is a file of another kind, whole and signed, than the one that is due.
func other(r *Repo, label string) []byte {
	switch label {
	case "snapshot", "root":
		return r.Data("targets")
	case "team":
		return r.Data(r.label("bin"))
	case "bin":
		return r.Data("team")
	default:
		return r.Data("snapshot")
	}
}

// targetFileStates change target files, and no metadata.
func targetFileStates() []Lie {
	lie := func(name, of string, edit func(files map[string][]byte, title string)) Lie {
		return editing(name, func(r *Repo, files map[string][]byte) { edit(files, titleOf(r, files, of)) })
	}
	replace := func(name string, content string) Lie {
		return lie(name, StatesFile, func(files map[string][]byte, title string) { files[title] = []byte(content) })
	}
	return []Lie{
		replace("target-file-changed", Evil),
		replace("target-file-cut-off", Later[:len(Later)-1]),
		replace("target-file-with-more-behind", Later+Evil),
		replace("target-file-of-an-endless-length", Later+strings.Repeat("more", 1<<18)),
		replace("target-file-of-an-older-version", Now),
		replace("target-file-of-another-name", Later+Later),
		replace("target-file-empty", ""),
		lie("target-file-missing", StatesFile, func(files map[string][]byte, title string) { delete(files, title) }),
		lie("target-file-of-team-changed", StatesTeam, func(files map[string][]byte, title string) { files[title] = []byte(Evil) }),
	}
}

// titleOf is where the file of a target lies in the state that says Later.
func titleOf(r *Repo, files map[string][]byte, name string) string {
	r.t.Helper()
	dir, base, ok := strings.Cut(name, "/")
	if !ok {
		dir, base = "", name
	} else {
		dir += "/"
	}
	title := "targets/" + dir + Digest([]byte(Later))[len("sha256:"):] + "." + base
	if files[title] == nil {
		r.t.Fatalf("no file %s", title)
	}
	return title
}
