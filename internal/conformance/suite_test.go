package main

import (
	"testing"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, viaOCI := range []bool{false, true} {
		name := map[bool]string{false: "direct", true: "via-oci"}[viaOCI]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sc := range scenarios() {
				t.Run(sc.name, func(t *testing.T) {
					t.Parallel()
					s := newSuite(t, sc.name, viaOCI)
					sc.play(s)
					if s.asksOtherwise != "" {
						t.Logf("DIFFERS %s", sc.name)
					}
				})
			}
		})
	}
}
