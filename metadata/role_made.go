package metadata

import (
	"bytes"
	"time"
)

// MadeAt says when a metadata file was made, by what its signatures are over: its expiry less the period that it states.
// life is that period. It is false for a file that states none, as other programs make them.
func MadeAt(data []byte) (at time.Time, life time.Duration, ok bool) {
	h, err := readHeader(data)
	if err != nil {
		return time.Time{}, 0, false
	}
	life, ok = statedSeconds(h.Period)
	if !ok || life <= 0 {
		return time.Time{}, 0, false
	}
	return h.Expires.Add(-life), life, true
}

// SameContent reports whether two versions of a role differ in nothing that a person has to judge: only in version,
// expiry, periods and signatures. ErrDamaged.
func SameContent(a, b []byte) (bool, error) {
	if bytes.Equal(a, b) {
		return true, nil
	}
	ca, err := content(a)
	if err != nil {
		return false, err
	}
	cb, err := content(b)
	return ca == cb, err
}
