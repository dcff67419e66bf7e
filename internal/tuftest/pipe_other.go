//go:build !unix

package tuftest

import "errors"

// makePipe makes a named pipe, where there are some.
func makePipe(string) error { return errors.ErrUnsupported }
