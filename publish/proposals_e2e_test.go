//go:build e2e

package publish_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// What proposals hold in memory, inline files unpacked, is bounded for all together: the
// first are read, and the rest is refused.
func TestFoldInOfInlineFiles(t *testing.T) {
	t.Parallel()
	b := newInbox(t)
	f := b.next("team-a", plain)
	large := make([]byte, 7<<20) // nearly what an inline layer may unpack to
	for i := range 24 {
		large[0] = byte(i)
		title := metadata.TargetTitle("large", digest.FromBytes(large).Encoded())
		b.pack(fmt.Sprintf("tuf.in.team-z%02d.1", i), ociremote.Content{Title: fmt.Sprintf("metadata/1.team-z%02d.json", i), Data: f.Data("team-a")},
			ociremote.Content{Title: title, Data: large})
	}
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")
	result := b.refresh()
	refused := 0
	for _, p := range result.Proposals {
		if errors.Is(p.Err, ociremote.ErrTooLarge) {
			refused++
		}
	}
	if folded(result) != "tuf.in.team-b.2" || refused < 2 {
		t.Errorf("folded in %q, %d refused: %s", folded(result), refused, &b.said)
	}
}
