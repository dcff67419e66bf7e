package mirror

import (
	"os"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

func TestMain(m *testing.M) { os.Exit(tuftest.InMemory(m.Run)) }
