package tuftest

import "slices"

// rootStates are lies about the chain of roots that take no key.
func rootStates() []Lie {
	const third, fourth, fifth = "metadata/3.root.json", "metadata/4.root.json", "metadata/5.root.json"
	next := func(name string, edit func(r *Repo, files map[string][]byte)) Lie {
		return offering(name, func(r *Repo) map[string][]byte {
			files := r.Next().Files()
			edit(r, files)
			return files
		})
	}
	return []Lie{
		next("root-missing-in-between", func(_ *Repo, files map[string][]byte) { delete(files, fourth) }),
		next("new-roots-missing", func(_ *Repo, files map[string][]byte) {
			dropRoots(files, func(title string) bool { return title < third })
		}),
		next("all-roots-missing", func(_ *Repo, files map[string][]byte) {
			dropRoots(files, func(string) bool { return false })
		}),
		editing("known-roots-missing", func(_ *Repo, files map[string][]byte) {
			dropRoots(files, func(string) bool { return false })
		}),
		next("two-roots-in-each-others-place", func(_ *Repo, files map[string][]byte) {
			files[third], files[fourth] = files[fourth], files[third]
		}),
		next("later-root-under-the-name-of-one-before", func(_ *Repo, files map[string][]byte) { files[fourth] = files[fifth] }),
		editing("known-root-under-a-new-name", func(r *Repo, files map[string][]byte) { files[third] = r.Data("root") }),
		editing("root-without-content", func(_ *Repo, files map[string][]byte) { files[third] = nil }),
		editing("root-that-is-a-timestamp", func(r *Repo, files map[string][]byte) { files[third] = r.Data("timestamp") }),
		offering("another-repository", func(r *Repo) map[string][]byte { return r.stranger(0).Files() }),
		offering("another-repository-of-more-roots", func(r *Repo) map[string][]byte { return r.stranger(4).Files() }),
		offering("root-of-a-stranger-after-ours", func(r *Repo) map[string][]byte {
			files := r.stranger(4).Files()
			addRoots(files, r)
			return files
		}),
		offering("metadata-of-a-stranger-under-our-roots", func(r *Repo) map[string][]byte {
			files := r.stranger(0).Files()
			addRoots(files, r)
			return files
		}),
	}
}

// stranger is a repository with the same names and keys of its own, after some new roots.
func (r *Repo) stranger(roots int) *Repo {
	r.t.Helper()
	other := NewRepo(r.t, RepoOptions{Keys: 2, Threshold: 2})
	other.Delegate("targets", "team", []string{"team/*"}, false)
	other.DelegateBins("targets", "images", 2)
	other.Say(Evil)
	for range roots {
		other.Touch("root")
		other.Publish()
	}
	other.SetVersion("timestamp", 9)
	other.Publish()
	return other
}

// rootKeyStates are told with the root keys, in a third root.
func rootKeyStates() []Lie {
	root := func(name string, edit func(r *Repo, signed map[string]any)) Lie {
		return forging(name, []string{"root"}, func(r *Repo) {
			r.Touch("root")
			r.Publish()
			r.Forge("root", func(signed map[string]any) { edit(r, signed) })
		})
	}
	role := func(signed map[string]any, name string) map[string]any {
		return signed["roles"].(map[string]any)[name].(map[string]any)
	}
	one := func(r *Repo, signed map[string]any) map[string]any {
		return signed["keys"].(map[string]any)[r.Signer("timestamp").ID].(map[string]any)
	}
	return []Lie{
		root("root-that-names-no-key", func(_ *Repo, signed map[string]any) {
			signed["keys"] = map[string]any{}
			for _, name := range topLevel {
				role(signed, name)["keyids"] = []any{}
			}
		}),
		root("root-without-a-key-of-timestamp", func(_ *Repo, signed map[string]any) { role(signed, "timestamp")["keyids"] = []any{} }),
		root("root-with-key-ids-of-no-key", func(_ *Repo, signed map[string]any) {
			role(signed, "timestamp")["keyids"] = []any{"00", "11"}
		}),
		root("root-with-a-threshold-above-its-keys", func(_ *Repo, signed map[string]any) { role(signed, "root")["threshold"] = 3 }),
		root("root-with-a-threshold-of-timestamp-above-its-keys", func(_ *Repo, signed map[string]any) {
			role(signed, "timestamp")["threshold"] = 1 << 40
		}),
		root("root-with-threshold-0", func(_ *Repo, signed map[string]any) { role(signed, "timestamp")["threshold"] = 0 }),
		root("root-without-a-role", func(_ *Repo, signed map[string]any) { delete(signed["roles"].(map[string]any), "timestamp") }),
		root("root-with-a-key-id-twice", func(r *Repo, signed map[string]any) {
			id := r.Signer("timestamp").ID
			role(signed, "timestamp")["keyids"] = []any{id, id}
		}),
		root("root-with-a-key-of-an-unknown-type", func(r *Repo, signed map[string]any) { one(r, signed)["keytype"] = "rot13" }),
		root("root-with-a-key-of-another-scheme", func(r *Repo, signed map[string]any) { one(r, signed)["scheme"] = "rot13" }),
		root("root-with-a-short-key", func(r *Repo, signed map[string]any) { one(r, signed)["keyval"] = map[string]any{"public": "00"} }),
		root("root-with-a-key-that-is-no-PEM", func(r *Repo, signed map[string]any) {
			key := one(r, signed)
			key["keytype"], key["scheme"] = "rsa", "rsassa-pss-sha256"
			key["keyval"] = map[string]any{"public": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}
		}),
		root("root-of-a-later-version", func(_ *Repo, signed map[string]any) { signed["version"] = 4 }),
		root("root-of-the-last-version", func(_ *Repo, signed map[string]any) { signed["version"] = 1<<53 - 1 }),
		root("root-of-version-0", func(_ *Repo, signed map[string]any) { signed["version"] = 0 }),
		root("root-that-has-expired", func(r *Repo, signed map[string]any) { signed["expires"] = expiredAt }),
		root("root-of-another-specification", func(_ *Repo, signed map[string]any) { signed["spec_version"] = "2.0.0" }),
		root("root-that-flips-consistent-snapshot", func(_ *Repo, signed map[string]any) { signed["consistent_snapshot"] = false }),
		twoIDs("root-with-one-key-under-two-ids", "root", "timestamp", func(r *Repo, edit func(map[string]any)) {
			r.Touch("root")
			r.Publish()
			r.Forge("root", func(signed map[string]any) {
				edit(map[string]any{"keys": signed["keys"], "role": role(signed, "timestamp")})
			})
		}),
	}
}

// twoIDs lets a delegator name one key of a role under a second id, instead of the
// other key, and the role have a signature of that key under both.
func twoIDs(name, by, of string, delegate func(r *Repo, edit func(map[string]any))) Lie {
	const second = "0123456789abcdef"
	keys := slices.Compact(append([]string{by}, withKeys(of)...))
	return forging(name, keys, func(r *Repo) {
		key := r.Signer(of)
		delegate(r, func(at map[string]any) {
			at["keys"].(map[string]any)[second] = key.Public
			at["role"].(map[string]any)["keyids"] = []any{key.ID, second}
		})
		r.EditSignatures(of, func(signatures []Signature) []Signature {
			i := slices.IndexFunc(signatures, func(s Signature) bool { return s.KeyID == key.ID })
			return []Signature{signatures[i], {KeyID: second, Sig: signatures[i].Sig}}
		})
	})
}

// expiredAt is before the time at which the repositories are read.
const expiredAt = "2030-01-01T00:00:01Z"
