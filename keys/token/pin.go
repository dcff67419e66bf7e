package token

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// MaxPIN bounds a PIN, in bytes.
const MaxPIN = 1 << 10

// ReadPIN reads the file that pin-source= of a URI names, one line, without the end of that.
func ReadPIN(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxPIN+1))
	if err != nil {
		return nil, err
	}
	pin := bytes.TrimRight(data, "\r\n")
	if len(pin) == 0 || len(pin) > MaxPIN || bytes.ContainsAny(pin, "\x00\n") {
		return nil, fmt.Errorf("%s does not hold one line with a PIN", path)
	}
	return pin, nil
}
