package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// One in so many scenarios is played, and one in processStride of them by processes if
// that is asked for, which cost ten times as much.
var (
	directStride  = tuftest.Scale(16, 8, 1)
	viaOCIStride  = tuftest.Scale(40, 20, 1)
	processStride = tuftest.Scale(1, 1, 4)
)

// TestPlaySuite plays what the suite does, against the client over http as users have it.
func TestPlaySuite(t *testing.T) {
	t.Parallel()
	play(t, false, directStride)
}

// TestPlaySuiteViaOCI plays the same through a bundle in a registry. Other requests may
// reach the suite's server then, in the scenarios that are named for it and in no other.
func TestPlaySuiteViaOCI(t *testing.T) {
	t.Parallel()
	play(t, true, viaOCIStride)
}

func play(t *testing.T, viaOCI bool, stride int) {
	start := starter(t)
	all := scenarios()
	slices.SortFunc(all, func(a, b scenario) int { return strings.Compare(a.name, b.name) })
	for i := 0; i < len(all); i += stride {
		sc := all[i]
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, sc.name, viaOCI)
			if (i/stride)%processStride == 0 {
				s.start = start
			}
			sc.play(s)
			switch excused := viaOCI && slices.Contains(countsRequests, sc.name); {
			case s.asksOtherwise != "" && !excused:
				t.Error(s.asksOtherwise)
			case s.asksOtherwise == "" && excused && !t.Failed():
				t.Error("the requests are those that the suite wants: the scenario need not be named as one that differs")
			}
		})
	}
}

// countsRequests are the scenarios with other requests than the suite wants when all of
// its files are gathered first: those that want none behind the one that a client refuses,
// or only the roles that a search visits, in its order.
var countsRequests = []string{
	"a role that one of its two delegators has no key of",
	"test_graph_traversal[three-level-delegation-test-DFS-order-of-traversal]",
	"test_graph_traversal[three-level-ignores-all-branches-not-matching-paths]",
	"test_graph_traversal[three-level-terminating-ignores-all-but-roles-descendants]",
	"test_graph_traversal[two-level-ignores-all-branches-not-matching-paths]",
	"test_graph_traversal[two-level-terminating-ignores-all-but-roles-descendants]",
	"test_graph_traversal[two-level-test-DFS-order-of-traversal]",
	"test_graph_traversal[two-roles-delegating-to-a-third]",
	"test_new_timestamp_version_rollback",
	"test_snapshot_rollback[basic]",
	"test_snapshot_rollback[with hashes]",
	"test_targetfile_search[no delegations]",
	"test_targetfile_search[targetpath is not delegated by all roles in the chain]",
	"test_targetfile_search[targetpath matches wildcard]",
	"test_targetfile_search[targetpath with separators x]",
	"test_targetfile_search[targetpath with separators y]",
	"test_timestamp_content_changes",
}

// TestDocumentNamesWhatDiffers holds docs/conformance.md to that list, as far as it is of
// tests of the suite.
func TestDocumentNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(document), "\n```xfails\n")
	block, _, closed := strings.Cut(block, "```\n")
	if !found || !closed {
		t.Fatal("no block of expected failures")
	}
	var want []string
	for _, name := range countsRequests {
		if strings.HasPrefix(name, "test_") {
			want = append(want, name)
		}
	}
	if got := strings.Split(strings.TrimSpace(block), "\n"); !slices.Equal(got, want) {
		t.Errorf("the document names %q, want %q", got, want)
	}
}
