//go:build !unix

package fetcher

func isNotDir(error) bool      { return false }
func isNameTooLong(error) bool { return false }
