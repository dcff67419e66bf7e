package publish_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// Of what somebody claims of tags, only what the registry serves just so is taken.
func TestPlanImport(t *testing.T) {
	t.Parallel()
	g := registry(t)
	for _, tag := range []string{"same", "moved", "short"} {
		g.PutBlob("shop/api", []byte("{}"))
		g.PutManifest("shop/api", tag, foreign)
	}
	chart := bytes.Replace(foreign, []byte(`{"schemaVersion"`), []byte(`{"artifactType":"application/x-chart","schemaVersion"`), 1)
	g.PutManifest("shop/api", "chart", chart)
	claim := func(tag, of string, length int64) publish.ClaimedTag {
		return publish.ClaimedTag{
			Reference: ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: "shop/api", Tag: tag},
			Digest:    digest.FromString(of), Length: length,
		}
	}
	opener := func(ctx context.Context, ref ociremote.ImageReference) (ociremote.Repository, error) {
		return open(t, ref.Reference()), nil
	}
	claims := []publish.ClaimedTag{
		claim("same", string(foreign), int64(len(foreign))), claim("moved", "other", 0), claim("short", string(foreign), 7), claim("gone", "x", 0),
		claim("chart", string(chart), 0),
	}
	plan, err := publish.PlanImport(t.Context(), opener, claims, g.Host(), publish.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, l := range plan.Left {
		left = append(left, l.Reference.Tag)
	}
	entries := plan.Entries(false)
	if !slices.Equal(left, []string{"moved", "short", "gone", "chart"}) || len(entries) != 1 || entries[0].Tag != "same" || entries[0].Length != int64(len(foreign)) || entries[0].MediaType == "" {
		t.Errorf("left %q, entries %+v", left, entries)
	}
	if served := plan.Left[0].Served; served != digest.FromBytes(foreign) {
		t.Errorf("moved to %s", served)
	}
	if _, err := publish.PlanImport(t.Context(), opener, claims, "elsewhere.example.com", publish.FetchOptions{}); !errors.Is(err, publish.ErrImageHost) {
		t.Errorf("on another host: %v", err)
	}
	away := errors.New("nobody answers")
	opener = func(context.Context, ociremote.ImageReference) (ociremote.Repository, error) { return nil, away }
	if _, err := publish.PlanImport(t.Context(), opener, claims, g.Host(), publish.FetchOptions{}); !errors.Is(err, away) {
		t.Errorf("without a registry: %v", err)
	}
}
