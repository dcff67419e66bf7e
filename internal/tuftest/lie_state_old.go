package tuftest

import "strings"

// oldStates were published some time ago.
func oldStates() []Lie {
	return []Lie{
		offering("state-of-an-older-version", func(r *Repo) map[string][]byte { return r.earlier.Files() }),
		offering("state-of-an-older-version-with-new-roots", func(r *Repo) map[string][]byte {
			files := r.earlier.Files()
			addRoots(files, r.Next())
			return files
		}),
		offering("older-timestamp-with-all-that-is-new", func(r *Repo) map[string][]byte {
			files := r.later().Files()
			files["metadata/timestamp.json"] = r.earlier.Data("timestamp")
			return files
		}),
	}
}

// mixedStates put files of different states together, or leave files out.
func mixedStates() []Lie {
	var lies []Lie
	for _, label := range roleLabels[1:] {
		lies = append(lies,
			editing("older-"+label+"-in-a-new-state", func(r *Repo, files map[string][]byte) {
				files[r.Title(r.label(label))] = r.earlier.Data(r.label(label))
			}),
			editing(label+"-missing", func(r *Repo, files map[string][]byte) { delete(files, r.Title(r.label(label))) }),
			// Under the old name, as a state of the past would ask for it.
			offering("newer-"+label+"-in-the-state-of-now", func(r *Repo) map[string][]byte {
				files := r.Files()
				files[r.Title(r.label(label))] = r.later().Data(r.label(label))
				return files
			}),
		)
	}
	return append(lies,
		editing("timestamp-missing", func(_ *Repo, files map[string][]byte) { delete(files, "metadata/timestamp.json") }),
		offering("newer-timestamp-alone", func(r *Repo) map[string][]byte {
			files := r.Files()
			files["metadata/timestamp.json"] = r.later().Data("timestamp")
			return files
		}),
	)
}

// addRoots adds the roots of a repository.
func addRoots(files map[string][]byte, of *Repo) {
	for title, data := range of.Files() {
		if strings.HasSuffix(title, ".root.json") {
			files[title] = data
		}
	}
}

// dropRoots removes all roots but those of which keep is true.
func dropRoots(files map[string][]byte, keep func(title string) bool) {
	for title := range files {
		if strings.HasSuffix(title, ".root.json") && !keep(title) {
			delete(files, title)
		}
	}
}
