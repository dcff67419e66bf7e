package trust_test

import (
	"io"
	"log"
	"os"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http has a line for each frame that it does not know
	os.Exit(tuftest.InMemory(m.Run))
}
