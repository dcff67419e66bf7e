package metadata_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
)

// Signatures of real repositories, by keys of old types and with fields of their own, count with us as they do with
// go-tuf.
func TestVerifySignatureSigstore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tuftest.SharedFixture(t, "sigstore"), "metadata")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	verified := 0
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".root.json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Signed     json.RawMessage
			Signatures []tuf.Signature
		}
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		root, err := new(tuf.Metadata[tuf.RootType]).FromBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := cjson.EncodeCanonical(file.Signed)
		if err != nil {
			t.Fatal(err)
		}
		have := 0
		for _, sig := range file.Signatures {
			if key := root.Signed.Keys[sig.KeyID]; key != nil && metadata.VerifySignature(key, payload, sig.Signature) == nil {
				have++
			}
		}
		goTUF := root.VerifyDelegate(tuf.ROOT, root) == nil
		if ours := have >= root.Signed.Roles[tuf.ROOT].Threshold; ours != goTUF {
			t.Errorf("%s: %d signatures verify; go-tuf: %t", entry.Name(), have, goTUF)
		}
		verified += have
	}
	if verified < 3 {
		t.Errorf("only %d signatures verified", verified)
	}
}
