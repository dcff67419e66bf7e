package tuftest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// lastVersion is the largest that clients take.
const lastVersion = 1<<53 - 1

// versionStates are lies about versions and expiry, of somebody with the keys of a role.
func versionStates() []Lie {
	var lies []Lie
	for _, label := range roleLabels {
		signed := func(name string, edit func(signed map[string]any)) {
			lies = append(lies, forging(label+name, withKeys(label), func(r *Repo) { r.Forge(r.label(label), edit) }))
		}
		for name, version := range map[string]any{"0": 0, "-1": -1, "2-53": json.Number("9007199254740992"), "7-in-text": "7", "7-in-an-array": []any{7}} {
			signed("-of-version-"+name, func(s map[string]any) { s["version"] = version })
		}
		lies = append(lies, forging(label+"-of-version-7.0", withKeys(label), func(r *Repo) {
			r.Tamper(r.label(label), func(data []byte) []byte {
				signed := fmt.Appendf(nil, `,"version":%d}`, r.Version(r.label(label)))
				at := bytes.LastIndex(data, signed)
				return slices.Concat(data[:at], []byte(`,"version":7.0}`), data[at+len(signed):])
			})
		}))
		signed("-that-has-expired", func(s map[string]any) { s["expires"] = expiredAt })
		signed("-of-another-specification", func(s map[string]any) { s["spec_version"] = "2.0.0" })
		if label != "timestamp" {
			// The one above names another version than the file has.
			lies = append(lies, forging(label+"-of-another-version-than-is-named", withKeys(label), func(r *Repo) {
				r.Forge(r.label(label), func(s map[string]any) { s["version"] = r.Version(r.label(label)) + 1 })
			}))
		}
	}
	return append(lies, forwardStates()...)
}

// forwardStates drive versions up, or give one version two contents.
func forwardStates() []Lie {
	online := []string{"snapshot", "timestamp"}
	return []Lie{
		forging("timestamp-of-the-last-version", []string{"timestamp"}, func(r *Repo) {
			r.SetVersion("timestamp", lastVersion)
			r.PublishTimestamp()
		}),
		forging("snapshot-of-the-last-version", online, func(r *Repo) {
			r.SetVersion("snapshot", lastVersion)
			r.Publish()
		}),
		forging("snapshot-that-puts-targets-at-the-last-version", online, func(r *Repo) {
			r.Forge("snapshot", func(s map[string]any) { metaIn(s, "targets")["version"] = lastVersion })
		}),
		forging("snapshot-that-puts-team-at-the-last-version", online, func(r *Repo) {
			r.Forge("snapshot", func(s map[string]any) { metaIn(s, "team")["version"] = lastVersion })
		}),
		forging("targets-of-the-last-version", withKeys("targets"), func(r *Repo) {
			r.SetVersion("targets", lastVersion)
			r.Publish()
		}),
		now("fork-of-the-timestamp-of-now", online[1:], func(r *Repo) {
			r.ForgeAlone("timestamp", func(s map[string]any) { s["expires"] = "2030-01-20T00:00:00Z" })
		}),
		now("fork-of-the-snapshot-of-now", online, func(r *Repo) {
			r.Forge("snapshot", func(s map[string]any) { s["expires"] = "2030-01-20T00:00:00Z" })
		}),
		now("other-snapshot-of-one-version-under-a-new-timestamp", online, func(r *Repo) {
			r.ForgeAlone("snapshot", func(s map[string]any) { s["expires"] = "2030-01-20T00:00:00Z" })
			r.PublishTimestamp()
		}),
	}
}

// now is forging of the state that clients have seen.
func now(name string, keys []string, forge func(r *Repo)) Lie {
	return Lie{Name: name, Keys: keys, Tell: func(t testing.TB, p *Place, repo *Repo) {
		t.Helper()
		fork := told(t, repo)
		forge(fork)
		p.Put(fork.Files(), PackOptions{})
	}}
}

// metaIn is what a snapshot says about a role.
func metaIn(signed map[string]any, role string) map[string]any {
	return signed["meta"].(map[string]any)[role+".json"].(map[string]any)
}

// metaStates are lies in the lists of timestamp and snapshot.
func metaStates() []Lie {
	var lies []Lie
	edit := func(in, name string, change func(r *Repo, meta map[string]any)) {
		lies = append(lies, forging(name, withKeys(in), func(r *Repo) {
			r.Forge(in, func(s map[string]any) { change(r, s["meta"].(map[string]any)) })
		}))
	}
	for _, label := range roleLabels[1:] {
		in := "snapshot"
		if label == "snapshot" {
			in = "timestamp"
		}
		entry := func(name string, change func(entry map[string]any, role string, r *Repo)) {
			edit(in, in+name+label, func(r *Repo, meta map[string]any) {
				role := r.label(label)
				change(meta[role+".json"].(map[string]any), role, r)
			})
		}
		entry("-that-lowers-", func(e map[string]any, role string, r *Repo) {
			e["version"] = r.Version(role) - 2
		})
		entry("-with-a-wrong-hash-of-", func(e map[string]any, _ string, _ *Repo) {
			e["hashes"] = map[string]any{"sha256": Digest([]byte(Evil))[len("sha256:"):]}
		})
		entry("-with-one-wrong-hash-of-two-of-", func(e map[string]any, _ string, _ *Repo) {
			e["hashes"].(map[string]any)["sha512"] = Digest([]byte(Evil))[len("sha256:"):]
		})
		entry("-with-an-unknown-hash-of-", func(e map[string]any, _ string, _ *Repo) {
			e["hashes"] = map[string]any{"rot13": "00"}
		})
		entry("-with-too-small-a-length-of-", func(e map[string]any, _ string, _ *Repo) { e["length"] = 10 })
		entry("-with-too-large-a-length-of-", func(e map[string]any, _ string, _ *Repo) { e["length"] = lastVersion })
		entry("-with-length-0-of-", func(e map[string]any, _ string, _ *Repo) { e["length"] = 0 })
		edit(in, in+"-without-"+label, func(r *Repo, meta map[string]any) { delete(meta, r.label(label)+".json") })
	}
	edit("timestamp", "timestamp-that-lists-more", func(r *Repo, meta map[string]any) {
		meta["targets.json"] = map[string]any{"version": lastVersion}
		meta["../x.json"] = map[string]any{"version": 1}
	})
	edit("snapshot", "snapshot-that-lists-all-top-level-roles", func(r *Repo, meta map[string]any) {
		for _, name := range topLevel {
			if meta[name+".json"] == nil {
				meta[name+".json"] = map[string]any{"version": lastVersion}
			}
		}
	})
	edit("snapshot", "snapshot-that-lists-hostile-names", func(r *Repo, meta map[string]any) {
		for _, name := range HostileNames() {
			meta[name+".json"] = map[string]any{"version": 1}
			meta[name] = map[string]any{"version": 1}
		}
	})
	return lies
}

// typeStates are files of one role that say they are of another, signed by the first.
func typeStates() []Lie {
	var lies []Lie
	for _, label := range append([]string{"root"}, roleLabels...) {
		for _, other := range []string{"root", "snapshot", "Targets"} {
			if other == label {
				continue
			}
			keys := withKeys(label)
			lies = append(lies, forging(label+"-of-type-"+other, keys, func(r *Repo) {
				if label == "root" {
					r.Touch("root")
					r.Publish()
				}
				r.Forge(r.label(label), func(s map[string]any) { s["_type"] = other })
			}))
		}
	}
	return lies
}
