package verify_test

import (
	"testing"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/verify"
)

// A level is what it enforces, not what it is called.
func TestLevel(t *testing.T) {
	t.Parallel()
	type override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction
	for _, tt := range []struct {
		level    string
		override override
		want     string
	}{
		{"strict", nil, "strict"},
		{"permissive", nil, "permissive"},
		{"audit", nil, "audit"},
		{"skip", nil, "skip"},
		{"strict", override{"revocation": "log"}, "permissive"},
		{"strict", override{"revocation": "skip"}, "permissive"},
		{"strict", override{"expiry": "log"}, "permissive"},
		{"strict", override{"authenticTimestamp": "log"}, "permissive"},
		{"strict", override{"authenticity": "log"}, "audit"},
		{"strict", override{"expiry": "enforce"}, "strict"},
		{"permissive", override{"revocation": "enforce"}, "permissive"},
		{"permissive", override{"revocation": "enforce", "expiry": "enforce", "authenticTimestamp": "enforce"}, "strict"},
		{"audit", override{"authenticity": "enforce"}, "permissive"},
		{"audit", override{"revocation": "skip"}, "audit"},
		{"audit", override{"expiry": "enforce", "revocation": "enforce", "authenticTimestamp": "enforce"}, "audit"},
	} {
		got, err := verify.PolicyLevel(trustpolicy.SignatureVerification{VerificationLevel: tt.level, Override: tt.override})
		if err != nil || got != tt.want {
			t.Errorf("%s %v: got %q, %v, want %q", tt.level, tt.override, got, err, tt.want)
		}
	}
	if _, err := verify.PolicyLevel(trustpolicy.SignatureVerification{VerificationLevel: "lax"}); err == nil {
		t.Error("a level that does not exist has a strength")
	}
	for _, enough := range [][2]string{{"strict", "strict"}, {"strict", "audit"}, {"permissive", "audit"}, {"audit", "audit"}} {
		if !verify.LevelMeets(enough[0], enough[1]) {
			t.Errorf("%s is not enough for %s", enough[0], enough[1])
		}
	}
	for _, weak := range [][2]string{{"permissive", "strict"}, {"audit", "permissive"}, {"skip", "audit"}, {"skip", "skip"}, {"skip", ""}, {"lax", "audit"}} {
		if verify.LevelMeets(weak[0], weak[1]) {
			t.Errorf("%s is enough for %s", weak[0], weak[1])
		}
	}
}
