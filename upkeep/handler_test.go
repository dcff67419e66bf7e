package upkeep_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/tufoci/tufoci/upkeep"
)

// What strangers have said is one line of /healthz, and turns nothing around.
func TestHealthIsOneLine(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	said := errors.New("a\x1bb\nc\u0085d\u061ce\u200ef\u200fg\u2028h\u202ei\u2066j")
	upkeep.Handler(func() error { return said }).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/healthz", nil))
	if got := answer.Body.String(); answer.Code != 503 || got != "a b c d e f g h i j\n" {
		t.Errorf("%d %q", answer.Code, got)
	}
}
