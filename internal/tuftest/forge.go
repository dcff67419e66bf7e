package tuftest

import (
	"encoding/json"
	"slices"
	"strings"
)

// Forge edits the signed part of a role's published file, signs it again with
// the role's keys and makes snapshot and timestamp name the result, all at the
// versions they have: what a publisher with broken tools, or with the keys in
// the wrong hands, could put out. File names keep the published version.
func (r *Repo) Forge(name string, edit func(signed map[string]any)) {
	r.t.Helper()
	r.ForgeAlone(name, edit)
	r.relink(name)
}

// ForgeAlone is Forge that leaves snapshot and timestamp as they are.
func (r *Repo) ForgeAlone(name string, edit func(signed map[string]any)) {
	r.t.Helper()
	file, err := rawNumbers(r.Data(name))
	if err != nil {
		r.t.Fatalf("role %q: %v", name, err)
	}
	signed, ok := file["signed"].(map[string]any)
	if !ok {
		r.t.Fatalf("role %q has no signed part", name)
	}
	edit(signed)
	r.replace(name, r.sign(signed, r.signers(name, file)))
}

// signers are the keys behind the signatures that a file carries: for a root
// those of the version before as well.
func (r *Repo) signers(name string, file map[string]any) []*Key {
	known := slices.Clone(r.role(name).keys)
	if name == "root" {
		known = append(known, r.allRootKeys...)
	}
	signatures, _ := file["signatures"].([]any)
	var signers []*Key
	for _, signature := range signatures {
		id, _ := signature.(map[string]any)["keyid"].(string)
		if i := slices.IndexFunc(known, func(k *Key) bool { return k.ID == id }); i >= 0 {
			signers = append(signers, known[i])
		}
	}
	return signers
}

// Tamper edits the bytes of a role's published file without signing, and makes
// snapshot and timestamp name the result: only the signature is wrong.
func (r *Repo) Tamper(name string, edit func(data []byte) []byte) {
	r.t.Helper()
	r.replace(name, edit(slices.Clone(r.Data(name))))
	r.relink(name)
}

// Forced puts a file in the place of a role's published one, signs it with the role's
// keys as far as it has a signed part of which a signature is possible, and makes
// snapshot and timestamp name it.
func (r *Repo) Forced(name string, data []byte) {
	r.t.Helper()
	if file, err := rawNumbers(data); err == nil {
		published, err := rawNumbers(r.Data(name))
		if err != nil {
			r.t.Fatalf("role %q: %v", name, err)
		}
		if signed, err := envelope(file["signed"], r.signers(name, published)); err == nil && file["signed"] != nil {
			data = signed
		}
	}
	r.replace(name, data)
	r.relink(name)
}

// Signature is one signature of a file, as metadata writes it.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// EditSignatures changes the signatures of a role's published file and nothing else
// of it, and makes snapshot and timestamp name the result.
func (r *Repo) EditSignatures(name string, edit func(signatures []Signature) []Signature) {
	r.t.Helper()
	r.Tamper(name, func(data []byte) []byte {
		var file struct {
			Signatures []Signature     `json:"signatures"`
			Signed     json.RawMessage `json:"signed"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			r.t.Fatalf("role %q: %v", name, err)
		}
		file.Signatures = edit(file.Signatures)
		out, err := json.Marshal(file)
		if err != nil {
			r.t.Fatalf("role %q: %v", name, err)
		}
		return out
	})
}

// Unsign keeps only the first n signatures of a role's published file, and
// makes snapshot and timestamp name the result.
func (r *Repo) Unsign(name string, n int) {
	r.t.Helper()
	r.EditSignatures(name, func(signatures []Signature) []Signature { return signatures[:n] })
}

// SignAs signs the published file of a role with other keys, and makes
// snapshot and timestamp name the result.
func (r *Repo) SignAs(name string, keys ...*Key) {
	r.t.Helper()
	file, err := rawNumbers(r.Data(name))
	if err != nil {
		r.t.Fatalf("role %q: %v", name, err)
	}
	r.replace(name, r.sign(file["signed"], keys))
	r.relink(name)
}

func (r *Repo) replace(name string, data []byte) {
	if name == "root" {
		r.roots[len(r.roots)-1] = data
		return
	}
	r.data[name] = data
}

// relink writes snapshot and timestamp again, as far as they name a role,
// without raising their versions.
func (r *Repo) relink(name string) {
	r.t.Helper()
	switch name {
	case "root", "timestamp":
		return
	case "snapshot":
	default:
		r.data["snapshot"] = r.sign(r.snapshotSigned(), r.role("snapshot").keys)
	}
	r.data["timestamp"] = r.sign(r.timestampSigned(), r.role("timestamp").keys)
}

// rawNumbers keeps integers exact through a decode and encode.
func rawNumbers(data []byte) (map[string]any, error) {
	var value map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}
