package main

import (
	"github.com/tufoci/tufoci/internal/tuftest"
)

// rule is a version of the keys of a role: which of ten keys it has, how many have to
// sign, which do, and whether a client takes it.
type rule struct {
	keys      []int
	threshold int
	sigs      []int
	refused   bool
}

// first5 are five keys, and changed5 the same with one replaced.
var first5, changed5 = []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}

// rootRotations are those of test_root_rotation.
var rootRotations = map[string][]rule{
	"1-of-1-key-rotation":                   {{[]int{1}, 1, []int{1}, false}, {[]int{2}, 1, []int{2, 1}, false}, {[]int{2}, 1, []int{2}, false}},
	"1-of-1-key-rotation-unused-signatures": {{[]int{1}, 1, []int{3, 1, 4}, false}, {[]int{2}, 1, []int{3, 2, 1, 4}, false}, {[]int{2}, 1, []int{3, 2, 4}, false}},
	"3-of-5-sign-with-different-keycombos": {
		{first5, 3, []int{0, 2, 4}, false}, {first5, 3, []int{0, 4, 1}, false}, {first5, 3, []int{0, 1, 3}, false}, {first5, 3, []int{0, 1, 3}, false},
	},
	"3-of-5-one-key-rotated":                        {{first5, 3, []int{0, 2, 4}, false}, {changed5, 3, []int{0, 4, 1}, false}},
	"3-of-5-one-key-rotated-with-intermediate-step": {{first5, 3, []int{0, 2, 4}, false}, {changed5, 3, []int{0, 2, 4, 5}, false}, {changed5, 3, []int{0, 4, 5}, false}},
	"3-of-5-all-keys-rotated-with-intermediate-step": {
		{first5, 3, []int{0, 2, 4}, false}, {[]int{5, 6, 7, 8, 9}, 3, []int{0, 2, 4, 5, 6, 7}, false}, {[]int{5, 6, 7, 8, 9}, 3, []int{5, 6, 7}, false},
	},
	"1-of-3-threshold-increase-to-2-of-3":                             {{[]int{1, 2, 3}, 1, []int{1}, false}, {[]int{1, 2, 3}, 2, []int{1, 2}, false}},
	"2-of-3-threshold-decrease-to-1-of-3":                             {{[]int{1, 2, 3}, 2, []int{1, 2}, false}, {[]int{1, 2, 3}, 1, []int{1, 2}, false}, {[]int{1, 2, 3}, 1, []int{1}, false}},
	"1-of-2-threshold-increase-to-2-of-2":                             {{[]int{1}, 1, []int{1}, false}, {[]int{1, 2}, 2, []int{1, 2}, false}},
	"1-of-1-key-rotation-fail-not-signed-with-old-key":                {{[]int{1}, 1, []int{1}, false}, {[]int{2}, 1, []int{2, 3, 4}, true}},
	"1-of-1-key-rotation-fail-not-signed-with-new-key":                {{[]int{1}, 1, []int{1}, false}, {[]int{2}, 1, []int{1, 3, 4}, true}},
	"3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys":          {{first5, 3, []int{0, 2, 4}, false}, {changed5, 3, []int{0, 2, 4}, true}},
	"3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys":          {{first5, 3, []int{0, 2, 4}, false}, {changed5, 3, []int{0, 4, 5}, true}},
	"1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached": {{[]int{1, 2, 3}, 1, []int{1}, false}, {[]int{1, 2, 3}, 2, []int{2}, true}},
	"2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached":  {{[]int{1, 2, 3}, 2, []int{1, 2}, false}, {[]int{1, 2, 3}, 1, []int{1}, true}},
}

// otherRotations are those of test_non_root_rotations.
var otherRotations = map[string]rule{
	"1-of-1-key-rotation":                                            {[]int{2}, 1, []int{2}, false},
	"1-of-1-key-rotation-unused-signatures":                          {[]int{1}, 1, []int{3, 1, 4}, false},
	"1-of-1-key-rotation-fail-not-signed-with-new-key":               {[]int{2}, 1, []int{1, 3, 4}, true},
	"3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys": {changed5, 3, []int{0, 2, 4}, true},
	"2-of-5-one-key-signature-mising-threshold-not-reached":          {changed5, 3, []int{0, 4}, true},
	"3-of-5-sign-first-combo":                                        {first5, 3, []int{0, 2, 4}, false},
	"3-of-5-sign-second-combo":                                       {first5, 3, []int{0, 4, 1}, false},
	"3-of-5-sign-third-combo":                                        {first5, 3, []int{0, 1, 3}, false},
	"3-of-5-sign-fourth-combo":                                       {first5, 3, []int{1, 2, 3}, false},
	"3-of-5-sign-fifth-combo":                                        {first5, 3, []int{2, 3, 4}, false},
}

// keyRotations is test_updater_key_rotations.py.
func keyRotations() []scenario {
	var list []scenario
	for name, rules := range rootRotations {
		list = append(list, scenario{"test_root_rotation[" + name + "]", func(s *suite) {
			pool := newPool(s)
			s.forget("root")
			for _, r := range rules {
				apply(s, "root", r, pool)
				s.publish("root")
			}
			s.publish("targets", "snapshot", "timestamp")
			s.rootFile = s.published["root"][0]
			s.init()
			want := s.latest("root")
			if rules[len(rules)-1].refused {
				want = s.published["root"][len(rules)-2]
				s.refresh(1)
			} else {
				s.refresh(0)
			}
			s.wantBytes("root", want)
		}})
	}
	for name, r := range otherRotations {
		list = append(list, scenario{"test_non_root_rotations[" + name + "]", func(s *suite) {
			pool := newPool(s)
			s.init()
			for _, role := range []string{"timestamp", "snapshot", "targets"} {
				apply(s, role, r, pool)
				s.publish("root", "targets", "snapshot", "timestamp")
				if r.refused {
					s.refresh(1)
					continue
				}
				s.refresh(0)
				s.wantBytes(role, s.latest(role))
			}
		}})
	}
	return list
}

func newPool(s *suite) []*tuftest.Key {
	pool := make([]*tuftest.Key, 10)
	for i := range pool {
		pool[i] = tuftest.NewKey(s.t, tuftest.ECDSAP256)
	}
	return pool
}

func apply(s *suite, role string, r rule, pool []*tuftest.Key) {
	s.clearKeys(role)
	s.root.Roles[role].Threshold = r.threshold
	for _, i := range r.keys {
		s.addPublic(role, pool[i])
	}
	for _, i := range r.sigs {
		s.signers[role] = append(s.signers[role], pool[i])
	}
}
