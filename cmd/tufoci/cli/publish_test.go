package cli

import (
	"fmt"
	"testing"
)

func TestChangeLineIsShort(t *testing.T) {
	t.Parallel()
	changes := func(bins int) (list []roleChange) {
		list = append(list, roleChange{Role: "targets", From: 2, To: 3}, roleChange{Role: "images", To: 1})
		for i := range bins {
			list = append(list, roleChange{Role: fmt.Sprintf("b-%x", i), To: 1})
		}
		return append(list, roleChange{Role: "snapshot", From: 2, To: 3}, roleChange{Role: "timestamp", From: 2, To: 3})
	}
	for bins, want := range map[int]string{
		0:  "targets v2 -> v3, images v1, snapshot v2 -> v3, timestamp v2 -> v3",
		9:  "targets v2 -> v3, images v1, b-0 v1, b-1 v1, b-2 v1, b-3 v1, b-4 v1, b-5 v1, b-6 v1, b-7 v1, b-8 v1, snapshot v2 -> v3, timestamp v2 -> v3",
		16: "targets v2 -> v3, images v1, b-0 v1, b-1 v1, b-2 v1, b-3 v1, b-4 v1, b-5 v1, b-6 v1, b-7 v1, 8 more, snapshot v2 -> v3, timestamp v2 -> v3",
	} {
		if got := changeLine(changes(bins)); got != want {
			t.Errorf("%d bins: %s", bins, got)
		}
	}
}
