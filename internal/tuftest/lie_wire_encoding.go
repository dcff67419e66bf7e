package tuftest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"net/http"
	"strings"
)

// encodingLies are bodies in an encoding that nobody asked for.
func encodingLies() []Lie {
	encoded := func(name, encoding string, encode func(body []byte) []byte) Lie {
		return wireLie(name, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			if a.Code != http.StatusOK {
				passOn(w, a, a.Body.Bytes())
				return
			}
			a.Header().Set("Content-Encoding", encoding)
			passOn(w, a, encode(a.Body.Bytes()))
		})
	}
	same := func(body []byte) []byte { return body }
	return []Lie{
		encoded("encoded-with-gzip", "gzip", zipped),
		encoded("encoded-with-gzip-twice", "gzip, gzip", func(body []byte) []byte { return zipped(zipped(body)) }),
		encoded("encoded-with-deflate", "deflate", func(body []byte) []byte {
			var packed bytes.Buffer
			w, _ := flate.NewWriter(&packed, flate.BestSpeed)
			_, _ = w.Write(body)
			_ = w.Close()
			return packed.Bytes()
		}),
		encoded("encoded-with-a-gzip-bomb", "gzip", func([]byte) []byte { return zipped(make([]byte, 32<<20)) }),
		encoded("said-to-be-encoded-with-gzip", "gzip", same),
		encoded("said-to-be-encoded-with-br", "br", same),
		encoded("said-to-be-encoded-with-nonsense", strings.Repeat("gzip, ", 100)+"x", same),
	}
}

func zipped(body []byte) []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	_, _ = w.Write(body)
	_ = w.Close()
	return packed.Bytes()
}
