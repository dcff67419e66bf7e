package period

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "36h": 36 * time.Hour, "7d": 7 * Day, "2w": 14 * Day, "1y": 365 * Day,
		"1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute, "0.3h": 18 * time.Minute, "5m": 5 * time.Minute, "500ms": time.Second / 2,
		"100y": 100 * 365 * Day, "99y1s": 99*365*Day + time.Second,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "0", "7", "0d", "-7d", "+7d", "d", "7 d", "7D", "7days", "1e3d", ".5d", "7d ", "101y", "99999999999999999999y", "∞", "7d\n",
	} {
		if got, err := Parse(text); err == nil || got != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// What is shorter than any unit there is gets read back too.
func TestFormatOfLessThanAMillisecond(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{1, 999, 1500, 100 * time.Microsecond, time.Millisecond - 1, time.Millisecond, time.Millisecond + 1, time.Second + 1} {
		if got, err := Parse(Format(d)); err != nil || got != d {
			t.Errorf("%d ns, written %q, read %v, %v", d, Format(d), got, err)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{"36h", "7d", "1y", "1d12h", "1.5h", "1ms", "99y364d23h59m59s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			return
		}
		d = d.Truncate(time.Second) // what configurations take
		if d == 0 {
			return
		}
		if again, err := Parse(Format(d)); err != nil || again != d {
			t.Fatalf("%q is %v, written %q, read %v, %v", s, d, Format(d), again, err)
		}
	})
}
