package trust_test

import (
	"fmt"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

func BenchmarkPrecheck(b *testing.B) {
	r := tuftest.NewRepo(b, tuftest.RepoOptions{})
	for i := range 10_000 {
		r.AddEntry("targets", fmt.Sprintf("images/shop/app%d:v1", i), 1234, hexHash, nil)
	}
	r.Publish()
	data := r.Data("targets")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := trust.Precheck("targets", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b, tuftest.RepoOptions{})
	for i := range 10_000 {
		w.AddEntry("targets", fmt.Sprintf("images/shop/app%d:v1", i), 1234, hexHash, nil)
	}
	w.publish()
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", kept), func(b *testing.B) {
			client := w.client()
			b.ReportAllocs()
			for b.Loop() {
				if !kept {
					client = w.client()
				}
				if _, err := client.Refresh(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	w := newWorld(b, tuftest.RepoOptions{})
	w.DelegateBins("targets", "images", 256)
	for i := range 10_000 {
		w.AddEntry("images", fmt.Sprintf("images/shop/app%d:v1", i), 1234, hexHash, nil)
	}
	w.publish()
	view := w.mustRefresh()
	b.ReportAllocs()
	for b.Loop() {
		if targets, err := view.List(b.Context()); err != nil || len(targets) != 10_000 {
			b.Fatal(err)
		}
	}
}
