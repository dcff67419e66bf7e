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
	// As many roles that are not delegated to as are read, with nearly what an inline layer
	// may unpack to.
	large := make([]byte, 8<<20-16<<10)
	pack := func(tag, title string) {
		b.pack(tag, ociremote.Content{Title: title, Data: f.Data("team-a")},
			ociremote.Content{Title: metadata.TargetTitle("large", digest.FromBytes(large).Encoded()), Data: large})
	}
	pack("tuf.in.team-a.2", metadata.Title("team-a", 2))
	for i := range 16 {
		large[0] = byte(i)
		pack(fmt.Sprintf("tuf.in.team-z%02d.1", i), metadata.Title(fmt.Sprintf("team-z%02d", i), 1))
	}
	b.put("team-b", b.next("team-b", func(r *tuftest.Repo) { r.AddTargetTo("team-b", "team-b/new", []byte("of b")) }), "new")
	result := b.refresh()
	refused := 0
	for _, p := range result.Proposals {
		if errors.Is(p.Err, ociremote.ErrTooLarge) {
			refused++
		}
	}
	if folded(result) != "tuf.in.team-a.2 tuf.in.team-b.2" || refused == 0 {
		t.Errorf("folded in %q, %d refused: %s", folded(result), refused, &b.said)
	}
}
