package trust_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/trust"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// Before a signature is verified a file may have no more values than 16 384 hash bins
// need, whatever its size allows, unless it is longer than what nobody has signed the
// length of.
func TestValuesOfUnverifiedFiles(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	snapshot := func(files int, more string) []byte {
		var meta strings.Builder
		meta.WriteString(`"targets.json":{"version":1}`)
		for i := range files {
			fmt.Fprintf(&meta, `,"images-%04x.json":{"version":1}`, i)
		}
		return []byte(`{"signatures":[],"signed":{"_type":"snapshot","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","meta":{` +
			meta.String() + `},"more":[0` + more + `]}}`)
	}
	if err := trust.Precheck("snapshot", snapshot(1<<14, "")); err != nil {
		t.Errorf("a snapshot of 16 384 bins: %v", err)
	}
	if err := trust.Precheck("snapshot", snapshot(1, strings.Repeat(",        0", 40<<10))); !errors.Is(err, trust.ErrMalformed) {
		t.Errorf("41,000 values: %v", err)
	}
	if err := trust.Precheck("snapshot", snapshot(1, strings.Repeat(",          0", 90_000))); err != nil {
		t.Errorf("90,000 values in a longer file: %v", err)
	}
}
