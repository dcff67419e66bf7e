package fetcher

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

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
	for _, limit := range AllLimits() {
		for _, value := range []int64{-1, limit.Ceiling + 1} {
			var l Limits
			*limit.field(&l) = value
			if _, err := l.Filled(); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), limit.Name) {
				t.Errorf("%s %d: %v, want ErrLimit", limit.Name, value, err)
			}
		}
		var l Limits
		*limit.field(&l) = limit.Ceiling
		if got, err := l.Filled(); err != nil || limit.Of(got) != limit.Ceiling {
			t.Errorf("%s at its ceiling: %v", limit.Name, err)
		}
	}
}

// A time is read back as it is written, and one that is none is answered with one that
// is below the ceiling.
func TestLimitTimes(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"0.1ms", "0.000001ms", "1.5ms", "90s", "5m", "1.00000001s"} {
		var l, again Limits
		if err := l.Set("stallWindow", value); err != nil {
			t.Fatal(err)
		}
		if err := again.Set("stallWindow", l.Changed()["stallWindow"]); err != nil || again != l {
			t.Errorf("%s, written %q: %v", value, l.Changed()["stallWindow"], err)
		}
	}
	for _, value := range []string{"5", "-5s", "0s", "soon"} {
		err := new(Limits).Set("stallWindow", value)
		if err == nil || !strings.Contains(err.Error(), "90s") || !strings.HasSuffix(err.Error(), "at most 10m") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// The table has every field of Limits, by its name.
func TestAllLimits(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[Limits]()
	all := AllLimits()
	if len(all) != fields.NumField() {
		t.Fatalf("%d limits, %d fields", len(all), fields.NumField())
	}
	for i, limit := range all {
		field := fields.Field(i).Name
		if name := strings.ToLower(field[:1]) + field[1:]; name != limit.Name {
			t.Errorf("limit %q at the place of %s", limit.Name, field)
		}
		var l Limits
		*limit.field(&l) = 7
		if reflect.ValueOf(l).Field(i).Int() != 7 {
			t.Errorf("limit %s is not the field %s", limit.Name, field)
		}
		if limit.Default <= 0 || limit.Default > limit.Ceiling {
			t.Errorf("limit %s: default %d, ceiling %d", limit.Name, limit.Default, limit.Ceiling)
		}
	}
}

// What people write is what is set, and what is written again.
func TestSetLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, value string
		want        int64 // 0: refused
		text        string
	}{
		{"targets", "1MiB", 1 << 20, "1MiB"},
		{"targets", "1024KiB", 1 << 20, "1MiB"},
		{"targets", "1500", 1500, "1500B"},
		{"targets", "1500B", 1500, "1500B"},
		{"total", "2GiB", 2 << 30, "2GiB"},
		{"minThroughput", "100B", 100, "100B"},
		{"operation", "90s", int64(90 * time.Second), "1m30s"},
		{"operation", "10m", int64(10 * time.Minute), "10m"},
		{"visits", "64", 64, "64"},
		{"targets", "1MB", 0, ""},
		{"targets", "1.5MiB", 0, ""},
		{"targets", "-1", 0, ""},
		{"targets", "0", 0, ""},
		{"targets", "", 0, ""},
		{"targets", "17179869184GiB", 0, ""},
		{"targets", "99999999999999999999", 0, ""},
		{"targets", "513MiB", 0, ""},
		{"operation", "25h", 0, ""},
		{"operation", "5", 0, ""},
		{"visits", "1KiB", 0, ""},
		{"visits", "1025", 0, ""},
		{"Visits", "64", 0, ""},
		{"", "64", 0, ""},
	} {
		l := Limits{Root: 5}
		err := l.Set(test.name, test.value)
		if test.want == 0 {
			if err == nil || l != (Limits{Root: 5}) {
				t.Errorf("%s=%s: %v, %+v, want it refused", test.name, test.value, err, l)
			}
			continue
		}
		limit, _ := LimitNamed(test.name)
		if err != nil || limit.Of(l) != test.want || l.Root != 5 || limit.Format(limit.Of(l)) != test.text || l.Changed()[test.name] != test.text {
			t.Errorf("%s=%s: %v, %d, %v", test.name, test.value, err, limit.Of(l), l.Changed())
		}
		if err := l.Set(test.name, "default"); err != nil || limit.Of(l) != 0 {
			t.Errorf("%s=default: %v", test.name, err)
		}
	}
	if changed := DefaultLimits().Changed(); len(changed) != 0 {
		t.Errorf("defaults are no changes: %v", changed)
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
