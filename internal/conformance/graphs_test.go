package main

import (
	"maps"
	"slices"
)

// edge is one delegation; for all names, if it names no paths.
type edge struct {
	from, to    string
	terminating bool
	paths       []string
}

// graph is the delegations of a repository, and what a search visits.
type graph struct {
	edges []edge
	visit []string
}

// graphs are those of test_graph_traversal.
var graphs = map[string]graph{
	"basic-delegation":         {[]edge{{from: "targets", to: "A"}}, []string{"A"}},
	"single-level-delegations": {[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}}, []string{"A", "B"}},
	"two-level-delegations": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "B", to: "C"}}, []string{"A", "B", "C"},
	},
	"two-level-test-DFS-order-of-traversal": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C"}, {from: "A", to: "D"}}, []string{"A", "C", "D", "B"},
	},
	"three-level-delegation-test-DFS-order-of-traversal": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C"}, {from: "C", to: "D"}}, []string{"A", "C", "D", "B"},
	},
	"two-level-terminating-ignores-all-but-roles-descendants": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C", terminating: true}, {from: "A", to: "D"}}, []string{"A", "C"},
	},
	"three-level-terminating-ignores-all-but-roles-descendants": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C", terminating: true}, {from: "C", to: "D"}}, []string{"A", "C", "D"},
	},
	"two-level-ignores-all-branches-not-matching-paths": {
		[]edge{{from: "targets", to: "A", paths: []string{"*.py"}}, {from: "targets", to: "B"}, {from: "A", to: "C"}}, []string{"B"},
	},
	"three-level-ignores-all-branches-not-matching-paths": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C", paths: []string{"*.py"}}, {from: "C", to: "D"}}, []string{"A", "B"},
	},
	"cyclic-graph": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "B", to: "C"}, {from: "C", to: "D"}, {from: "D", to: "B"}}, []string{"A", "B", "C", "D"},
	},
	"two-roles-delegating-to-a-third": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "B", to: "C"}, {from: "A", to: "C"}}, []string{"A", "C", "B"},
	},
	"two-roles-delegating-to-a-third-different-paths": {
		[]edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "B", to: "C"}, {from: "A", to: "C", paths: []string{"*.py"}}}, []string{"A", "B", "C"},
	},
}

// search is one of test_targetfile_search.
type search struct {
	name  string
	found string // its content
	visit []string
}

var searches = map[string]search{
	"no delegations":                                        {"targetfile", "targetfile content", nil},
	"targetpath matches wildcard":                           {"README.md", "README by A", []string{"A"}},
	"targetpath with separators x":                          {"releases/x/x_v1", "x release by C", []string{"B", "C"}},
	"targetpath with separators y":                          {"releases/y/y_v1.zip", "y release by D", []string{"B", "D"}},
	"targetpath is not delegated by all roles in the chain": {"releases/z/z_v1.zip", "", []string{"B"}},
}

// delegationGraphs is test_updater_delegation_graphs.py.
func delegationGraphs() []scenario {
	list := []scenario{
		{"a role that one of its two delegators has no key of", func(s *suite) {
			build(s, []edge{
				{from: "targets", to: "A", paths: []string{"a/*", "b/*"}},
				{from: "targets", to: "B", paths: []string{"b/*"}},
				{from: "A", to: "C", paths: []string{"a/*"}},
				{from: "B", to: "C", paths: []string{"b/*"}},
			})
			// C is signed for A alone.
			s.signers["C"] = s.signers["C"][:1]
			s.artifact("C", "a/file", "for A")
			s.artifact("C", "b/file", "for B")
			publishGraph(s)
			s.init()
			s.download(1, "a/file", "b/file")
			s.wantDownloaded("for A")
			s.wantAsked(4, "A 1", "C 1", "B 1")
		}},
		{"a delegated role that the snapshot does not list", func(s *suite) {
			build(s, []edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}})
			s.artifact("B", "file", "content")
			s.publish("A", "B", "targets")
			delete(s.snapshot.Meta, "A.json")
			s.publish("snapshot", "timestamp")
			s.init()
			s.refresh(0)
			s.download(1, "file")
			s.wantDownloaded()
			s.wantTrusted("root 1", "snapshot 2", "targets 2", "timestamp 2")
		}},
	}
	for name, g := range graphs {
		list = append(list, scenario{"test_graph_traversal[" + name + "]", func(s *suite) {
			build(s, g.edges)
			publishGraph(s)
			s.init()
			s.download(1, "missingpath")
			s.wantAsked(4, versionOne(g.visit)...)
			trusted := append(versionOne(slices.Sorted(slices.Values(g.visit))), "root 1", "snapshot 2", "targets 2", "timestamp 2")
			s.wantTrusted(trusted...)
		}})
	}
	for name, want := range searches {
		list = append(list, scenario{"test_targetfile_search[" + name + "]", func(s *suite) {
			build(s, []edge{
				{from: "targets", to: "A", paths: []string{"*.doc", "*.md"}},
				{from: "targets", to: "B", paths: []string{"releases/*/*"}},
				{from: "B", to: "C", paths: []string{"releases/x/*"}},
				{from: "B", to: "D", paths: []string{"releases/y/*.zip"}},
			})
			s.artifact("targets", "targetfile", "targetfile content")
			s.artifact("A", "README.md", "README by A")
			s.artifact("C", "releases/x/x_v1", "x release by C")
			s.artifact("D", "releases/y/y_v1.zip", "y release by D")
			s.artifact("D", "releases/z/z_v1.zip", "z release by D")
			publishGraph(s)
			s.init()
			if want.found == "" {
				s.download(1, want.name)
				s.wantDownloaded()
			} else {
				s.download(0, want.name)
				s.wantDownloaded(want.found)
			}
			s.wantAsked(4, versionOne(want.visit)...)
		}})
	}
	return list
}

func build(s *suite, edges []edge) {
	for _, e := range edges {
		if len(e.paths) == 0 {
			e.paths = []string{"*"}
		}
		s.delegate(e.from, e.to, e.terminating, e.paths...)
	}
}

// publishGraph publishes all roles, delegated ones for the first time.
func publishGraph(s *suite) {
	s.publish(slices.Sorted(maps.Keys(s.targets))...)
	s.publish("snapshot", "timestamp")
}

func versionOne(roles []string) []string {
	var list []string
	for _, role := range roles {
		list = append(list, role+" 1")
	}
	return list
}
