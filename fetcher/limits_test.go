package fetcher

import (
	"errors"
	"testing"

	"github.com/tufoci/tufoci/ociremote"
)

func TestLimitsFilled(t *testing.T) {
	t.Parallel()
	got, err := Limits{}.Filled()
	if err != nil || got != DefaultLimits() {
		t.Errorf("zero limits: %+v, %v", got, err)
	}
	got, err = Limits{Root: 7, Concurrency: 2}.Filled()
	if err != nil || got.Root != 7 || got.Concurrency != 2 || got.Timestamp != DefaultLimits().Timestamp {
		t.Errorf("own limits: %+v, %v", got, err)
	}
	for _, l := range []Limits{
		{Root: -1},
		{Timestamp: -1},
		{Snapshot: -1},
		{Targets: -1},
		{TargetFile: -1},
		{Total: -1},
		{MinThroughput: -1},
		{StallWindow: -1},
		{Operation: -1},
		{Concurrency: -1},
	} {
		if _, err := l.Filled(); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v, want ErrLimit", l, err)
		}
	}
}

// The largest repository of the design has to fit: 16 384 bins in a snapshot,
// 100 000 targets in a role.
func TestDefaultLimitsLeaveRoom(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	if l.Snapshot < 2*2_146_671 || l.Targets < 2*14_400_000 || l.Root < 512_000 || l.Timestamp < 16_384 {
		t.Errorf("limits too small: %+v", l)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	l := Limits{Root: 10, Timestamp: 20, Snapshot: 30, Targets: 40, TargetFile: 50}
	const absurd = 10 << 30
	for _, test := range []struct {
		class     fileClass
		max, want int64 // want -1: refused
	}{
		{classRoot, 9, 9},
		{classRoot, absurd, 10},
		{classTimestamp, absurd, 20},
		{classSnapshot, 30, 30},
		{classSnapshot, 31, -1},
		{classSnapshot, absurd, -1},
		{classTargets, 40, 40},
		{classTargets, 41, -1},
		{classTargetFile, 0, 0},
		{classTargetFile, 50, 50},
		{classTargetFile, 51, -1},
		{classRoot, -1, -1},
		{classTimestamp, -1, -1},
		{classSnapshot, -1, -1},
		{classTargets, -1, -1},
		{classTargetFile, -1, -1},
	} {
		got, err := l.allow("title", test.class, test.max)
		if test.want >= 0 {
			if err != nil || got != test.want {
				t.Errorf("class %d, max %d: %d, %v; want %d", test.class, test.max, got, err, test.want)
			}
			continue
		}
		limit, ok := errors.AsType[*LimitError](err)
		if !ok || limit.Size != test.max || !errors.Is(err, ErrLimit) || !errors.Is(err, ociremote.ErrTooLarge) {
			t.Errorf("class %d, max %d: %d, %v; want a LimitError", test.class, test.max, got, err)
		}
	}
}
