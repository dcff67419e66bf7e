package trust_test

import (
	"slices"
	"strings"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// outcome is what comes of a lie.
type outcome struct {
	err     error    // nil: nothing is refused, and nothing false is answered either
	role    string   // of the evidence; "": the source broke a bound, which has none
	at      []string // the lookups that are refused; none: the refresh
	kept    []string // files of the state that are not what they were
	fresh   *outcome // of a client without a state, if it is another one
	bundled *outcome // where the source is a bundle, if it is another one
	rotate  bool     // only new keys end it
	fork    bool     // the warning of a fork
	odd     bool     // the lie is a role with an odd name, which may speak for oddFile
	hostile bool     // the lie is a list of names none of which has a file
}

// anyRole: several are refused.
const anyRole = "any"

// thirdRoot, and what a client of the second root forgets when it changes keys.
const thirdRoot = "roots/3.root.json"

var (
	timestampOnly = []string{"timestamp.json"}
	online        = []string{"snapshot.json", "timestamp.json"}
	topLevel      = []string{"snapshot.json", "targets.json", "timestamp.json"}
	withRoot      = []string{thirdRoot, "snapshot.json", "targets.json", "timestamp.json"}
	forgotten     = []string{thirdRoot, "snapshot.json", "timestamp.json"}
)

var roleLabels = []string{"root", "timestamp", "snapshot", "targets", "team", "images", "bin"}

// label is the role of a label, and what is asked of it after a refresh; nothing of a
// top-level role.
func label(name string) (role string, at []string) {
	switch name {
	case "team":
		return name, []string{tuftest.StatesTeam}
	case "images":
		return name, []string{tuftest.StatesImage}
	case "bin":
		return "images-1", []string{tuftest.StatesImage}
	}
	return name, nil
}

// before is what a refresh has accepted when it comes to a role.
func before(name string) []string {
	switch name {
	case "root", "timestamp":
		return nil
	case "snapshot":
		return timestampOnly
	case "targets":
		return online
	}
	return topLevel
}

// refusedAt is a file of a role that is refused after all that comes before it.
func refusedAt(name string, err error) outcome {
	role, at := label(name)
	return outcome{err: err, role: role, at: at, kept: before(name)}
}

// overLimit is a file of a role that is longer than the metadata above it allows.
func overLimit(name string) outcome {
	o := refusedAt(name, fetcher.ErrLimit)
	o.role = ""
	return o
}

// listsMore is a snapshot that lists roles which the publisher's next one does not: it
// counts as rolled back, until the keys are others.
var listsMore = outcome{kept: topLevel, rotate: true}

func harmless(kept []string) outcome { return outcome{kept: kept} }

// outcomes are those of all lies, by name.
func outcomes() map[string]outcome {
	all := map[string]outcome{}
	for _, part := range []func(map[string]outcome){
		outcomesOfOldAndMixed, outcomesOfRoots, outcomesOfSignatures, outcomesOfBytes,
		outcomesOfVersions, outcomesOfMeta, outcomesOfDelegations, outcomesOfNames, outcomesOfOdd,
	} {
		part(all)
	}
	return all
}

func outcomesOfOldAndMixed(all map[string]outcome) {
	seen := harmless(nil)
	unsigned := refusedAt("timestamp", trust.ErrThreshold)
	unsigned.kept = []string{"roots/3.root.json", "roots/4.root.json", "roots/5.root.json", "snapshot.json", "timestamp.json"}
	all["state-of-an-older-version-with-new-roots"] = unsigned
	older := refusedAt("timestamp", trust.ErrRollback)
	older.fresh = &seen
	all["state-of-an-older-version"] = older
	withoutItsSnapshot := refusedAt("snapshot", trust.ErrStaleCopy)
	mixed := older
	mixed.fresh = &withoutItsSnapshot
	all["older-timestamp-with-all-that-is-new"] = mixed
	all["newer-timestamp-alone"] = withoutItsSnapshot
	missing := outcome{err: fetcher.ErrNoRepository}
	bundled := refusedAt("timestamp", trust.ErrStaleCopy)
	missing.bundled = &bundled
	all["timestamp-missing"] = missing
	for _, name := range roleLabels[2:] {
		all["older-"+name+"-in-a-new-state"] = refusedAt(name, trust.ErrMismatch)
		all[name+"-missing"] = refusedAt(name, trust.ErrStaleCopy)
		unseen := refusedAt(name, trust.ErrMismatch)
		all["newer-"+name+"-in-the-state-of-now"] = outcome{fresh: &unseen}
	}
}

func outcomesOfRoots(all map[string]outcome) {
	wrong := outcome{err: trust.ErrWrongRoot, role: "root"}
	gap := outcome{err: fetcher.ErrRootGap, kept: []string{thirdRoot}}
	all["root-missing-in-between"] = outcome{err: trust.ErrThreshold, role: "timestamp", kept: []string{thirdRoot}, bundled: &gap}
	all["new-roots-missing"] = refusedAt("timestamp", trust.ErrThreshold)
	all["all-roots-missing"] = wrong
	all["known-roots-missing"] = outcome{kept: topLevel, fresh: &wrong}
	all["two-roots-in-each-others-place"] = refusedAt("root", trust.ErrThreshold)
	all["later-root-under-the-name-of-one-before"] = outcome{err: trust.ErrMismatch, role: "root", kept: []string{thirdRoot}}
	all["known-root-under-a-new-name"] = refusedAt("root", trust.ErrMismatch)
	all["root-without-content"] = refusedAt("root", trust.ErrMalformed)
	all["root-that-is-a-timestamp"] = refusedAt("root", trust.ErrMalformed)
	all["another-repository"] = wrong
	all["another-repository-of-more-roots"] = wrong
	all["root-of-a-stranger-after-ours"] = refusedAt("root", trust.ErrThreshold)
	all["metadata-of-a-stranger-under-our-roots"] = refusedAt("timestamp", trust.ErrThreshold)

	for _, name := range []string{"that-names-no-key", "with-threshold-0", "without-a-role", "with-a-short-key", "of-version-0", "of-another-specification"} {
		all["root-"+name] = refusedAt("root", trust.ErrMalformed)
	}
	all["root-with-a-threshold-above-its-keys"] = refusedAt("root", trust.ErrThreshold)
	all["root-of-a-later-version"] = refusedAt("root", trust.ErrMismatch)
	all["root-of-the-last-version"] = refusedAt("root", trust.ErrMismatch)
	all["root-that-has-expired"] = outcome{err: trust.ErrExpired, role: "root", kept: []string{thirdRoot}}
	all["root-that-flips-consistent-snapshot"] = outcome{err: trust.ErrStaleCopy, role: "snapshot", kept: []string{thirdRoot, "timestamp.json"}}
	all["root-with-a-key-of-another-scheme"] = harmless(withRoot)
	// The root is accepted, and no timestamp can be verified under it.
	for _, name := range []string{"without-a-key-of-timestamp", "with-key-ids-of-no-key", "with-a-key-of-an-unknown-type", "with-a-key-that-is-no-PEM"} {
		all["root-"+name] = outcome{err: trust.ErrMalformed, role: "timestamp", kept: forgotten}
	}
	for _, name := range []string{"with-a-threshold-of-timestamp-above-its-keys", "with-a-key-id-twice", "with-one-key-under-two-ids"} {
		all["root-"+name] = outcome{err: trust.ErrThreshold, role: "timestamp", kept: forgotten}
	}
}

func outcomesOfSignatures(all map[string]outcome) {
	for _, name := range roleLabels {
		for _, suffix := range []string{
			"unsigned", "signed-by-half", "signed-by-strangers", "with-one-signature-under-two-ids", "with-a-signature-under-a-strange-id",
			"with-one-bit-of-a-signature-changed", "with-one-bit-changed", "with-signatures-of-an-older-version",
		} {
			all[name+"-"+suffix] = refusedAt(name, trust.ErrThreshold)
		}
		all[name+"-with-one-signature-twice"] = refusedAt(name, trust.ErrMalformed)
	}
	all["targets-signed-by-the-keys-of-team"] = refusedAt("targets", trust.ErrThreshold)
	all["team-signed-by-the-keys-of-a-bin"] = refusedAt("team", trust.ErrThreshold)
	all["snapshot-signed-by-the-keys-of-timestamp"] = refusedAt("snapshot", trust.ErrThreshold)
	all["timestamp-of-a-fork-signed-by-nobody"] = refusedAt("timestamp", trust.ErrThreshold)
}

func outcomesOfBytes(all map[string]outcome) {
	for _, name := range roleLabels {
		all[name+"-of-an-endless-length"] = overLimit(name)
		all[name+"-with-white-space-behind"] = overLimit(name)
		all[name+"-in-another-order"] = refusedAt(name, trust.ErrMismatch)
		all[name+"-that-is-another-file"] = refusedAt(name, trust.ErrMalformed)
		for _, suffix := range []string{"-cut-off", "-empty"} {
			all[name+suffix] = refusedAt(name, trust.ErrMalformed)
			if !slices.Contains(roleLabels[:4], name) { // these are hashed before they are looked at
				all[name+suffix] = refusedAt(name, trust.ErrMismatch)
			}
		}
	}
	// No hash of these is known. What is signed is the same.
	for _, suffix := range []string{"-with-white-space-behind", "-in-another-order"} {
		all["root"+suffix], all["timestamp"+suffix] = harmless(withRoot), harmless(topLevel)
	}
	for _, longer := range []string{"snapshot", "team", "images"} {
		all[longer+"-that-is-another-file"] = overLimit(longer)
	}
	all["bin-that-is-another-file"] = refusedAt("bin", trust.ErrMismatch)

	file := func(name string, err error) {
		all["target-file-"+name] = outcome{err: err, role: "targets", at: []string{tuftest.StatesFile}, kept: topLevel}
	}
	for _, name := range []string{"changed", "cut-off", "of-an-older-version", "empty"} {
		file(name, trust.ErrMismatch)
	}
	file("missing", trust.ErrStaleCopy)
	for _, name := range []string{"with-more-behind", "of-an-endless-length", "of-another-name"} {
		all["target-file-"+name] = outcome{err: fetcher.ErrLimit, at: []string{tuftest.StatesFile}, kept: topLevel}
	}
	all["target-file-of-team-changed"] = refusedAt("team", trust.ErrMismatch)
}

func outcomesOfVersions(all map[string]outcome) {
	for _, name := range roleLabels[1:] {
		for _, version := range []string{"0", "-1", "2-53", "7-in-text", "7-in-an-array", "7.0"} {
			all[name+"-of-version-"+version] = refusedAt(name, trust.ErrMalformed)
		}
		all[name+"-that-has-expired"] = refusedAt(name, trust.ErrExpired)
		all[name+"-of-another-specification"] = refusedAt(name, trust.ErrMalformed)
		if name != "timestamp" {
			all[name+"-of-another-version-than-is-named"] = refusedAt(name, trust.ErrMismatch)
		}
	}
	for _, name := range roleLabels {
		for _, other := range []string{"root", "snapshot", "Targets"} {
			if name != other {
				all[name+"-of-type-"+other] = refusedAt(name, trust.ErrMalformed)
			}
		}
	}
	for _, name := range []string{"timestamp", "snapshot", "targets"} {
		all[name+"-of-the-last-version"] = outcome{kept: topLevel, rotate: true}
	}
	for _, name := range []string{"targets", "team"} {
		driven := refusedAt(name, trust.ErrStaleCopy)
		driven.rotate = true
		all["snapshot-that-puts-"+name+"-at-the-last-version"] = driven
	}
	all["fork-of-the-timestamp-of-now"] = outcome{fork: true}
	all["fork-of-the-snapshot-of-now"] = outcome{fork: true}
	all["other-snapshot-of-one-version-under-a-new-timestamp"] = harmless(timestampOnly)
}

func outcomesOfMeta(all map[string]outcome) {
	for _, name := range roleLabels[2:] {
		in := "snapshot"
		if name == "snapshot" {
			in = "timestamp"
		}
		role, _ := label(name)
		unseen := refusedAt(name, trust.ErrStaleCopy)
		all[in+"-that-lowers-"+name] = outcome{err: trust.ErrRollback, role: role, kept: before(in), fresh: &unseen}
		for _, which := range []string{"a-wrong-hash", "one-wrong-hash-of-two", "an-unknown-hash", "too-large-a-length"} {
			all[in+"-with-"+which+"-of-"+name] = refusedAt(name, trust.ErrMismatch)
		}
		all[in+"-with-too-small-a-length-of-"+name] = overLimit(name)
		all[in+"-with-length-0-of-"+name] = refusedAt(in, trust.ErrMalformed)
		all[in+"-without-"+name] = refusedAt(in, trust.ErrMalformed)
		if !slices.Contains(roleLabels[:4], name) {
			unlisted := refusedAt(name, trust.ErrMismatch)
			all[in+"-without-"+name] = outcome{err: trust.ErrRollback, role: role, kept: before(in), fresh: &unlisted}
		}
	}
	all["timestamp-that-lists-more"] = harmless(topLevel)
	all["snapshot-that-lists-all-top-level-roles"] = listsMore
	all["snapshot-that-lists-hostile-names"] = listsMore
}

func outcomesOfDelegations(all map[string]outcome) {
	for _, name := range []string{"with-a-threshold-above-its-keys", "with-an-absurd-threshold", "to-one-key-under-two-ids"} {
		all["delegation-"+name] = refusedAt("team", trust.ErrThreshold)
	}
	for _, name := range []string{"without-keys", "to-a-key-of-an-unknown-type"} {
		all["delegation-"+name] = refusedAt("team", trust.ErrMalformed)
	}
	all["delegation-to-key-ids-of-no-key"] = outcome{err: trust.ErrMalformed, role: anyRole, at: []string{tuftest.StatesTeam, tuftest.StatesImage}, kept: topLevel}
	for _, name := range []string{"delegation-with-threshold-0", "delegation-to-a-short-key", "delegation-by-hash-prefixes", "delegation-to-one-role-twice", "delegations-and-bins-in-one-role"} {
		all[name] = refusedAt("targets", trust.ErrMalformed)
	}
	all["delegation-to-a-role-that-no-snapshot-lists"] = outcome{err: trust.ErrMismatch, role: "ghost", at: []string{tuftest.StatesTeam}, kept: topLevel}
	for name, role := range map[string]string{"of-32-bits": "images-e8fc40c6", "of-another-prefix": "../team-1", "without-a-prefix": "-1"} {
		all["bins-"+name] = outcome{err: trust.ErrMismatch, role: role, at: []string{tuftest.StatesImage}, kept: topLevel}
	}
	all["bins-of-no-bits"] = refusedAt("images", trust.ErrMalformed)
	all["bins-of-33-bits"] = refusedAt("images", trust.ErrMalformed)
	for _, name := range []string{"delegation-to-itself", "entry-outside-of-the-paths-of-a-role", "entry-outside-of-the-paths-of-bins", "reserved-names-in-bins"} {
		all[name] = harmless(topLevel)
	}
	for _, name := range []string{
		"delegations-in-a-cycle", "delegation-that-ends-before-a-role-that-answers", "a-thousand-delegations",
		"entry-that-targets-has-listed-before", "reserved-names-in-a-delegated-role",
	} {
		all[name] = listsMore
	}
}

func outcomesOfNames(all map[string]outcome) {
	for _, lie := range tuftest.States() {
		if strings.HasPrefix(lie.Name, "role-with-a-name-") || lie.Name == "role-with-a-very-long-name" {
			all[lie.Name] = outcome{kept: topLevel, odd: true, rotate: true}
		}
	}
	for _, name := range append([]string{""}, roleLabels[:4]...) {
		all["delegated-role-called-"+name] = refusedAt("targets", trust.ErrMalformed)
	}
	all["targets-with-hostile-names"] = outcome{kept: topLevel, hostile: true}
	all["target-of-an-absurd-length"] = outcome{err: trust.ErrMalformed, role: "targets", at: []string{oddFile}, kept: topLevel}
	all["target-of-no-known-hash"] = outcome{err: trust.ErrMismatch, role: "targets", at: []string{tuftest.StatesFile}, kept: topLevel}
}

func outcomesOfOdd(all map[string]outcome) {
	for i, odd := range tuftest.OddTexts() {
		name := roleLabels[i%len(roleLabels)]
		all[name+"-with-"+odd.Name] = refusedAt(name, trust.ErrMalformed)
	}
	for i, odd := range tuftest.OddValues() {
		name := roleLabels[i%len(roleLabels)]
		all[name+"-with-"+odd.Name] = refusedAt(name, trust.ErrMalformed)
	}
}
