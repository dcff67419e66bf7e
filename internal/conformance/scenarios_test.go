package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// scenario is one test of the suite, under the name that it has there.
type scenario struct {
	name string
	play func(s *suite)
}

// scenarios are the tests of the suite, file by file.
func scenarios() []scenario {
	return slices.Concat(basic(), expiration(), downloads(), keys(), quoting(), rollback(), static(), delegationGraphs(), keyRotations())
}

var topLevel = []string{"root 1", "snapshot 1", "targets 1", "timestamp 1"}

// basic is test_basic.py.
func basic() []scenario {
	list := []scenario{
		{"test_basic_refresh_requests", func(s *suite) {
			s.init()
			s.refresh(0)
			s.wantAsked(0, "root 2", "timestamp", "snapshot 1", "targets 1")
		}},
		{"test_basic_refresh_trusted_data", func(s *suite) {
			s.init()
			s.refresh(0)
			for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
				s.wantBytes(role, s.latest(role))
			}
		}},
		{"test_implicit_refresh", func(s *suite) {
			s.init()
			s.download(1, "nonexistent artifact")
			s.wantAsked(0, "root 2", "timestamp", "snapshot 1", "targets 1")
			s.wantTrusted(topLevel...)
		}},
		{"test_invalid_initial_root", func(s *suite) {
			s.edit("root", func(data []byte) []byte {
				return []byte(strings.Replace(string(data), `"version"`, `"no-version"`, 1))
			})
			s.rootFile = s.latest("root")
			s.init()
			s.refresh(1)
			s.wantAsked(0)
		}},
		{"test_unsigned_initial_root", func(s *suite) {
			s.editSignatures("root", func(list []signature) []signature { return []signature{{list[0].KeyID, badECDSA}} })
			s.rootFile = s.latest("root")
			s.init()
			s.refresh(1)
			s.wantAsked(0)
		}},
		{"test_timestamp_content_changes", func(s *suite) {
			s.init()
			s.refresh(0)
			s.timestamp.Meta["snapshot.json"].Version = 100
			before := s.latest("timestamp")
			s.forget("timestamp")
			s.publish("timestamp")
			s.refresh(0)
			s.wantLastAsked("timestamp")
			s.wantBytes("timestamp", before)
		}},
		{"test_basic_metadata_hash_support", func(s *suite) {
			s.hashes = true
			s.publish("targets", "snapshot", "timestamp")
			s.init()
			s.refresh(0)
			s.publish("targets")
			s.snapshot.Meta["targets.json"].Hashes["sha256"] = strings.Repeat("46419349", 8)
			s.publish("snapshot", "timestamp")
			s.refresh(1)
			s.wantVersions(map[string]int64{"snapshot": 3, "targets": 2})
		}},
		{"test_metadata_bytes_match", func(s *suite) {
			s.init()
			s.edit("timestamp", func(data []byte) []byte { return append(slices.Clone(data), ' ') })
			s.refresh(0)
			s.wantBytes("timestamp", s.latest("timestamp"))
		}},
		{"test_custom_fields", func(s *suite) {
			s.init()
			s.refresh(0)
			s.root.Unknown, s.root.Roles["root"].Unknown = "value", "value"
			key := tuftest.NewKey(s.t, tuftest.ECDSAP256)
			s.addSigner("root", addUnknown(s.simulator, key, "extra-field", map[string]int{"a": 1, "b": 2}))
			s.publish("root")
			s.refresh(0)
			s.wantVersions(map[string]int64{"root": 2})
		}},
		{"test_deprecated_keyid_hash_algorithms", func(s *suite) {
			s.init()
			s.clearKeys("snapshot")
			key := tuftest.NewKey(s.t, tuftest.ECDSAP256)
			s.addSigner("snapshot", addUnknown(s.simulator, key, "keyid_hash_algorithms", "md5"))
			s.publish("root", "snapshot", "timestamp")
			s.refresh(0)
			s.wantVersions(map[string]int64{"root": 2, "snapshot": 2})
		}},
		{"test_snapshot_404", func(s *suite) {
			s.init()
			s.refresh(0)
			s.timestamp.Meta["snapshot.json"].Version++
			s.publish("timestamp")
			s.refresh(1)
			s.wantLastAsked("snapshot 2")
			s.wantTrusted("root 1", "snapshot 1", "targets 1", "timestamp 2")
		}},
		{"test_targets_404", func(s *suite) {
			s.init()
			s.refresh(0)
			s.snapshot.Meta["targets.json"].Version++
			s.publish("snapshot", "timestamp")
			s.refresh(1)
			s.wantLastAsked("targets 2")
			s.wantTrusted("root 1", "snapshot 2", "targets 1", "timestamp 2")
		}},
		{"test_timestamp_404", func(s *suite) {
			s.init()
			s.refresh(0)
			s.forget("timestamp")
			s.refresh(1)
			s.wantLastAsked("timestamp")
			s.wantTrusted(topLevel...)
		}},
		{"test_incorrect_metadata_type", func(s *suite) {
			s.init()
			s.addSigner("snapshot", s.signers["timestamp"][0])
			s.snapshot.Meta = map[string]*metaFile{"snapshot.json": {Version: 1}}
			s.publish("root", "snapshot")
			s.store("timestamp", append(s.published["timestamp"], s.latest("snapshot")))
			s.refresh(1)
			s.wantTrusted("root 2")
		}},
		{"test_faketime", func(s *suite) {
			s.init()
			s.root.Expires = expires(7 * day)
			s.publish("root")
			s.refresh(0)
			s.refreshAfter(8*day, 1)
		}},
	}
	for role, trusted := range map[string][]string{
		"root": {"root 1"}, "timestamp": {"root 2"}, "snapshot": {"root 2", "timestamp 2"},
		"targets": {"root 2", "snapshot 2", "timestamp 2"},
	} {
		list = append(list, scenario{"test_unsigned_metadata[" + role + "]", func(s *suite) {
			s.dropSigner(role)
			s.publish("root", "targets", "snapshot", "timestamp")
			s.init()
			s.refresh(1)
			s.wantTrusted(trusted...)
		}})
		if role == "timestamp" {
			continue
		}
		list = append(list, scenario{"test_url_and_metadata_version_mismatch[" + role + "]", func(s *suite) {
			head, _ := s.signed(role)
			head.Version++
			s.publish("root", "targets", "snapshot", "timestamp")
			s.init()
			s.refresh(1)
			s.wantTrusted(trusted...)
		}})
	}
	return list
}

// expiration is test_expiration.py and test_delegated_expiration.py.
func expiration() []scenario {
	// delegated has a role that expires after a while, with two files.
	delegated := func(s *suite, expires string) {
		s.delegate("targets", "delegated", false, "delegatedpath/*")
		s.targets["delegated"].Expires = expires
		s.artifact("delegated", "delegatedpath/first", "first")
		s.artifact("delegated", "delegatedpath/second", "second")
		s.publish("delegated", "targets", "snapshot", "timestamp")
	}
	list := []scenario{
		{"test_root_expired", func(s *suite) {
			s.init()
			s.refresh(0)
			s.publish("root")
			s.refresh(0)
			s.root.Expires = expires(-day)
			s.publish("root", "targets", "snapshot", "timestamp")
			s.refresh(1)
			s.wantTrusted("root 3", "snapshot 1", "targets 1", "timestamp 1")
		}},
		{"test_expired_local_root", func(s *suite) {
			s.init()
			s.root.Expires = expires(7 * day)
			s.publish("root")
			s.refresh(0)
			s.root.Expires = expires(21 * day)
			s.publish("root")
			s.refreshAfter(18*day, 0)
			s.wantVersions(map[string]int64{"root": 3})
		}},
		{"test_expired_local_timestamp", func(s *suite) {
			s.init()
			s.timestamp.Expires = expires(7 * day)
			s.publish("timestamp")
			s.refresh(0)
			s.timestamp.Expires = expires(21 * day)
			s.publish("targets", "snapshot", "timestamp")
			s.refreshAfter(18*day, 0)
			s.wantTrusted("root 1", "snapshot 2", "targets 2", "timestamp 3")
		}},
		{"test_delegated_targets_expired", func(s *suite) {
			s.init()
			delegated(s, expires(-day))
			s.refresh(0)
			s.download(1, "delegatedpath/first")
			s.wantDownloaded()
			s.wantTrusted("root 1", "snapshot 2", "targets 2", "timestamp 2")
		}},
		{"test_expired_local_delegated_targets", func(s *suite) {
			s.init()
			delegated(s, expires(7*day))
			s.download(0, "delegatedpath/first")
			s.downloadAfter(18*day, 1, "delegatedpath/second")
			s.wantDownloaded("first")
		}},
		{"test_expired_local_delegated_targets_updates", func(s *suite) {
			s.init()
			delegated(s, expires(7*day))
			s.download(0, "delegatedpath/first")
			s.wantDownloaded("first")
			s.targets["delegated"].Expires = expires(21 * day)
			s.publish("delegated", "snapshot", "timestamp")
			s.downloadAfter(18*day, 0, "delegatedpath/second")
			s.wantDownloaded("first", "second")
		}},
	}
	for role, trusted := range map[string][]string{
		"timestamp": topLevel,
		"snapshot":  {"root 1", "snapshot 1", "targets 1", "timestamp 2"},
		"targets":   {"root 1", "snapshot 2", "targets 1", "timestamp 2"},
	} {
		list = append(list, scenario{"test_" + role + "_expired", func(s *suite) {
			s.init()
			s.refresh(0)
			head, _ := s.signed(role)
			head.Expires = expires(-5 * day)
			s.publish("targets", "snapshot", "timestamp")
			s.refresh(1)
			s.wantTrusted(trusted...)
		}})
	}
	return list
}

// downloads is test_file_download.py.
func downloads() []scenario {
	const name, content = "target_file.txt", "target file contents"
	list := []scenario{
		{"test_client_downloads_expected_file", func(s *suite) {
			s.init()
			s.artifact("targets", name, content)
			s.publish("targets", "snapshot", "timestamp")
			s.refresh(0)
			s.wantDownloaded()
			s.download(0, name)
			s.wantDownloaded(content)
		}},
		{"test_client_downloads_expected_file_in_sub_dir", func(s *suite) {
			s.init()
			s.artifact("targets", "path/to/a/"+name, content)
			s.publish("targets", "snapshot", "timestamp")
			s.download(0, "path/to/a/"+name)
			s.wantDownloaded(content)
		}},
		{"test_repository_substitutes_target_file", func(s *suite) {
			s.init()
			s.artifact("targets", name, content)
			s.artifact("targets", "another_target_file.txt", "content")
			s.publish("targets", "snapshot", "timestamp")
			s.download(0, name)
			s.substitute(name, "malicious data - should not download")
			s.substitute("another_target_file.txt", "malicious data - should not download")
			s.download(-1, name)
			s.wantDownloaded(content)
			s.download(1, "another_target_file.txt")
			s.wantDownloaded(content)
		}},
		{"test_multiple_changes_to_target", func(s *suite) {
			s.init()
			s.artifact("targets", name, content)
			s.publish("targets", "snapshot", "timestamp")
			s.download(0, name)
			want := []string{content}
			previous := content
			for i := range 11 {
				modified, added := fmt.Sprintf("modified file contents %d", i), fmt.Sprintf("new file contents %d", i)
				s.artifact("targets", name, modified)
				s.artifact("targets", fmt.Sprintf("new-target-%d", i), added)
				s.publish("targets", "snapshot", "timestamp")
				if i%5 != 0 {
					continue
				}
				s.download(0, name)
				want = append(slices.DeleteFunc(want, func(c string) bool { return c == previous }), modified)
				previous = modified
				s.wantDownloaded(want...)
				s.download(0, fmt.Sprintf("new-target-%d", i))
				want = append(want, added)
				s.wantDownloaded(want...)
				s.substitute(name, fmt.Sprintf("malicious contents %d", i))
				s.publish("targets", "snapshot", "timestamp")
				s.download(-1, name)
				s.wantDownloaded(want...)
			}
		}},
		{"test_download_with_unknown_hash_algorithm", func(s *suite) {
			s.artifact("targets", name, content, "unknown-hash")
			s.publish("targets", "snapshot", "timestamp")
			s.init()
			s.download(1, name)
			s.wantDownloaded()
		}},
		{"test_artifact_cache", func(s *suite) {
			s.artifact("targets", name, content)
			s.publish("targets", "snapshot", "timestamp")
			s.init()
			s.download(0, name)
			s.download(0, name)
			s.wantDownloaded(content)
			s.wantFilesAsked(name)
		}},
		{"several targets by one command, up to the first that fails", func(s *suite) {
			s.artifact("targets", "1", "one")
			s.artifact("targets", "2", "two")
			s.artifact("targets", "3", "three")
			s.publish("targets", "snapshot", "timestamp")
			s.init()
			s.download(1, "2", "1", "nonexistent", "3")
			s.wantDownloaded("two", "one")
			s.wantFilesAsked("2", "1")
			s.wantAsked(0, "root 2", "timestamp", "snapshot 2", "targets 2")
		}},
	}
	for i, algorithms := range [][]string{{"sha256"}, {"sha512"}, {"sha256", "sha512"}} {
		list = append(list, scenario{fmt.Sprintf("test_download_with_hash_algorithms[hashes%d]", i), func(s *suite) {
			s.artifact("targets", name, content, algorithms...)
			s.publish("targets", "snapshot", "timestamp", "root")
			s.init()
			s.download(0, name)
			s.wantFilesAsked(name)
			s.wantDownloaded(content)
		}})
	}
	return list
}

// badECDSA looks like a signature.
const badECDSA = "3045022100ee448afe2d25dd1f05afedac83a24e7df90f203615221434979153dc7cea6d4702207710015851e571885a77db8a6e42c4b2983a59b9e1ebec91178dfa2fb0d42ab8"

// keys is test_keys.py.
func keys() []scenario {
	list := []scenario{
		{"test_snapshot_does_not_meet_threshold", func(s *suite) {
			s.root.Roles["snapshot"].Threshold = 3
			s.addKey("snapshot")
			s.addKey("snapshot")
			s.publish("root", "targets", "snapshot", "timestamp")
			s.init()
			s.refresh(0)
			s.dropSigner("snapshot")
			s.publish("targets", "snapshot", "timestamp")
			s.refresh(1)
			s.wantVersions(map[string]int64{"snapshot": 2, "timestamp": 3})
		}},
		{"test_snapshot_has_too_few_keys", func(s *suite) {
			s.init()
			for range 4 {
				s.addKey("snapshot")
			}
			s.root.Roles["snapshot"].Threshold = 6
			s.publish("root", "snapshot", "timestamp")
			s.refresh(1)
			s.wantVersions(map[string]int64{"root": 2, "snapshot": 0})
		}},
		{"test_duplicate_keys", func(s *suite) {
			s.init()
			key := s.addKey("snapshot")
			for range 8 {
				s.addPublic("snapshot", key)
			}
			s.root.Roles["snapshot"].Threshold = 6
			s.publish("root", "snapshot", "timestamp")
			s.editSignatures("snapshot", func(list []signature) []signature {
				for range 8 {
					list = append(list, list[1])
				}
				return list
			})
			s.refresh(1)
			s.wantVersions(map[string]int64{"snapshot": 0})
		}},
		{"test_duplicate_sig_keyids", func(s *suite) {
			s.init()
			s.editSignatures("snapshot", func(list []signature) []signature { return append(list, list[0]) })
			s.refresh(1)
			s.wantVersions(map[string]int64{"snapshot": 0})
		}},
		{"test_invalid_sig_in_valid_metadata", func(s *suite) {
			s.init()
			var first []signature
			s.editSignatures("timestamp", func(list []signature) []signature { first = slices.Clone(list); return list })
			s.addKey("timestamp")
			s.publish("root", "timestamp")
			for _, sig := range []string{first[0].Sig, ""} {
				s.editSignatures("timestamp", func(list []signature) []signature {
					list[0].Sig = sig
					return list
				})
				s.refresh(0)
				s.publish("timestamp")
			}
		}},
	}
	for name, kind := range map[string]tuftest.KeyType{
		"rsa/rsassa-pss-sha256": tuftest.RSA, "ecdsa/ecdsa-sha2-nistp256": tuftest.ECDSAP256, "ed25519/ed25519": tuftest.Ed25519,
	} {
		list = append(list, scenario{"test_keytype_and_scheme[" + name + "]", func(s *suite) {
			s.init()
			key := s.addSigner("root", tuftest.NewKey(s.t, kind))
			s.root.Roles["root"].Threshold++
			s.publish("root")
			s.refresh(0)
			s.wantVersions(map[string]int64{"root": 2})
			s.publish("root")
			s.editSignatures("root", func(list []signature) []signature {
				i := slices.IndexFunc(list, func(sig signature) bool { return sig.KeyID == key.ID })
				last := list[i].Sig[len(list[i].Sig)-1]
				list[i].Sig = list[i].Sig[:len(list[i].Sig)-1] + string("fedcba9876543210"[strings.IndexByte("0123456789abcdef", last)])
				return list
			})
			s.refresh(1)
			s.wantVersions(map[string]int64{"root": 2})
		}})
	}
	return list
}

// quoting is test_quoting_issues.py.
func quoting() []scenario {
	var list []scenario
	for role, quoted := range map[string]string{
		"?": "%3F", "#": "%23", "/delegatedrole": "%2Fdelegatedrole", "../delegatedrole": "..%2Fdelegatedrole",
	} {
		list = append(list, scenario{"test_unusual_role_name[" + role + "]", func(s *suite) {
			s.delegate("targets", role, false, "*")
			s.publish(role, "targets", "snapshot", "timestamp")
			s.init()
			s.download(1, "nonexistent target")
			if asked := s.asked(); !slices.Contains(asked, quoted+" 1") {
				s.t.Errorf("asked for %q, not for %s v1", asked, quoted)
			}
			if trusted := s.trusted(); len(trusted) != 5 {
				s.t.Errorf("trusted are %q, want five roles", trusted)
			}
		}})
	}
	return list
}

// rollback is test_rollback.py.
func rollback() []scenario {
	list := []scenario{
		{"test_new_timestamp_version_rollback", func(s *suite) {
			s.init()
			s.publish("timestamp")
			s.refresh(0)
			s.restart("timestamp")
			s.publish("timestamp")
			s.refresh(1)
			s.wantVersions(map[string]int64{"timestamp": 2})
			s.wantLastAsked("timestamp")
		}},
		{"test_targets_fast_forward_recovery", fastForward("targets", "snapshot")},
		{"test_new_snapshot_fast_forward_recovery", fastForward("snapshot", "snapshot", "timestamp")},
		{"test_new_timestamp_fast_forward_recovery", fastForward("timestamp", "timestamp")},
		{"role removed from snapshot", func(s *suite) {
			s.init()
			s.delegate("targets", "A", false, "*")
			s.publish("A", "targets", "snapshot", "timestamp")
			s.refresh(0)
			delete(s.snapshot.Meta, "A.json")
			s.publish("snapshot", "timestamp")
			s.refresh(1)
			s.wantTrusted("root 1", "snapshot 2", "targets 2", "timestamp 3")
		}},
	}
	for _, hashes := range []bool{false, true} {
		id := map[bool]string{false: "[basic]", true: "[with hashes]"}[hashes]
		list = append(list,
			scenario{"test_snapshot_rollback" + id, func(s *suite) {
				s.init()
				s.hashes = hashes
				s.publish("snapshot", "timestamp")
				s.refresh(0)
				s.restart("snapshot")
				s.publish("snapshot", "timestamp")
				s.refresh(1)
				s.wantVersions(map[string]int64{"timestamp": 2, "snapshot": 2})
				s.wantLastAsked("timestamp")
			}},
			scenario{"test_targets_rollback" + id, func(s *suite) {
				s.init()
				s.hashes = hashes
				s.publish("targets", "snapshot", "timestamp")
				s.refresh(0)
				s.restart("targets")
				s.publish("targets", "snapshot", "timestamp")
				s.refresh(1)
				s.wantVersions(map[string]int64{"snapshot": 2, "targets": 2})
			}})
	}
	return list
}

// fastForward drives the version of a role up, and back to 1 under new keys of others.
func fastForward(role string, rotated ...string) func(s *suite) {
	return func(s *suite) {
		s.init()
		for range 99 {
			s.publish(role)
		}
		if role != "timestamp" {
			s.publish("snapshot", "timestamp")
		}
		s.refresh(0)
		for _, other := range rotated {
			s.rotate(other)
		}
		if role != "targets" {
			s.publish("targets")
		}
		s.restart(role)
		s.publish("root")
		for _, each := range []string{"targets", "snapshot", "timestamp"} {
			if each == role || each != "targets" {
				s.publish(each)
			}
		}
		s.refresh(0)
		s.wantVersions(map[string]int64{role: 1})
	}
}

// static is test_static_repositories.py: repositories as others have published them, of
// which two traits matter here: keys with members of their own, and empty signatures.
func static() []scenario {
	return []scenario{{"test_static_repository", func(s *suite) {
		s.clearKeys("targets")
		s.addSigner("targets", addUnknown(s.simulator, tuftest.NewKey(s.t, tuftest.ECDSAP256), "x-tuf-on-ci-keyowner", "@person"))
		s.addKey("targets")
		s.delegate("targets", "delegatedrole", true, "delegatedrole/*")
		s.artifact("delegatedrole", "delegatedrole/artifact", "content")
		s.publish("delegatedrole", "targets")
		s.editSignatures("targets", func(list []signature) []signature {
			list[1].Sig = ""
			return list
		})
		s.publish("snapshot", "timestamp", "root")
		s.restart("root")
		s.publish("root")
		s.rootFile = s.latest("root")
		s.init()
		s.refreshAfter(day, 0)
		s.downloadAfter(day, 0, "delegatedrole/artifact")
		s.wantDownloaded("content")
	}}}
}
