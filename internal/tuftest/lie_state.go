package tuftest

import (
	"slices"
	"testing"
)

// What a repository of [NewStatesRepo] says at each time, so that a test sees from
// which one an answer comes, and that of none. Evil is what an attacker says.
const (
	Earlier = "honest earlier\n"
	Now     = "honest for now\n"
	Later   = "honest in time\n"
	Evil    = "evil all along\n"
)

// The names that it lists: two files, one of a delegated role, and an image in a bin,
// whose sha256 is that of what the repository says.
const (
	StatesFile  = "file"
	StatesOther = "dir/other"
	StatesTeam  = "team/file"
	StatesImage = "images/shop/api:1"
)

// NewStatesRepo makes the repository that [States] are told about. Each role needs
// both of its two keys. It has two roots, of which the second replaced the keys of
// snapshot; the roles team and images, the latter over two bins; and a history.
func NewStatesRepo(t testing.TB) *Repo {
	t.Helper()
	r := NewRepo(t, RepoOptions{Keys: 2, Threshold: 2})
	r.Delegate("targets", "team", []string{"team/*"}, false)
	r.DelegateBins("targets", "images", 2)
	r.Say(Earlier)
	r.Publish()
	r.earlier = r.Fork()
	r.RotateKey("snapshot")
	r.Say(Now)
	r.Publish()
	return r
}

// Say lets every role of a repository for States say something, from the next Publish on.
func (r *Repo) Say(what string) {
	r.t.Helper()
	r.AddTarget(StatesFile, []byte(what))
	r.AddTarget(StatesOther, []byte(what+what))
	r.AddTargetTo("team", StatesTeam, []byte(what))
	r.AddEntry("images", StatesImage, int64(len(what)), Digest([]byte(what))[len("sha256:"):], nil)
	r.Touch("images")
}

// Next is the same repository as its publisher goes on: three new roots, which replace
// the keys of root, then of timestamp and snapshot, then of targets, and new versions
// of all that a repository for States has. It is made once.
func (r *Repo) Next() *Repo {
	r.t.Helper()
	if r.next != nil {
		return r.next
	}
	next := r.Fork()
	for _, names := range [][]string{{"root"}, {"timestamp", "snapshot"}, {"targets"}} {
		for _, name := range names {
			next.RotateKey(name)
		}
		next.writeRoot()
	}
	next.Say(Later)
	next.Publish()
	r.next = next
	return next
}

// later is the repository as its publisher goes on without a new root.
func (r *Repo) later() *Repo {
	r.t.Helper()
	later := r.Fork()
	later.Say(Later)
	later.Publish()
	return later
}

// evil is a later state that says what an attacker wants to be believed.
func (r *Repo) evil() *Repo {
	r.t.Helper()
	evil := r.Fork()
	evil.Say(Evil)
	evil.Publish()
	return evil
}

// States are the lies that are told in metadata and target files, whatever holds
// them, about a repository of NewStatesRepo. Those that take no key are made of what
// was published at some time, of bytes that were changed, and of what strangers have
// signed.
func States() []Lie {
	return slices.Concat(
		oldStates(), mixedStates(), rootStates(), rootKeyStates(),
		signatureStates(), byteStates(), targetFileStates(),
		versionStates(), metaStates(), typeStates(),
		delegationStates(), nameStates(), oddStates(),
	)
}

// offering is a lie that takes no key: it puts out files.
func offering(name string, files func(r *Repo) map[string][]byte) Lie {
	return Lie{Name: name, Tell: func(t testing.TB, p *Place, repo *Repo) {
		t.Helper()
		p.Put(files(told(t, repo)), PackOptions{})
	}}
}

// editing is a lie that takes no key: it edits the files of the next honest state, by title.
func editing(name string, edit func(r *Repo, files map[string][]byte)) Lie {
	return offering(name, func(r *Repo) map[string][]byte {
		later := r.later()
		files := later.Files()
		edit(later, files)
		return files
	})
}

// forging is a lie of somebody with the keys of some roles, who changes what the
// publisher would put out next.
func forging(name string, keys []string, forge func(r *Repo)) Lie {
	return Lie{Name: name, Keys: keys, Tell: func(t testing.TB, p *Place, repo *Repo) {
		t.Helper()
		later := told(t, repo).later()
		forge(later)
		p.Put(later.Files(), PackOptions{})
	}}
}

// told is a copy of a repository that fails the test in which a lie is told.
func told(t testing.TB, repo *Repo) *Repo {
	next := repo.Next()
	copied := repo.Fork()
	copied.t = t
	copied.next = next
	return copied
}

// roleLabels are the roles that lies are told in, the root aside. "bin" is the bin of
// StatesImage.
var roleLabels = []string{"timestamp", "snapshot", "targets", "team", "images", "bin"}

// label returns the name of the role with a label.
func (r *Repo) label(label string) string {
	if label == "bin" {
		return r.holder("images", StatesImage)
	}
	return label
}

// above are the roles whose keys it takes to make the files above a role name
// another one of it.
func above(label string) []string {
	switch label {
	case "root", "timestamp":
		return nil
	case "snapshot":
		return []string{"timestamp"}
	default:
		return []string{"snapshot", "timestamp"}
	}
}

// withKeys are the keys of a role and of those above it. Bins have the keys of each other.
func withKeys(label string) []string { return append([]string{label}, above(label)...) }
