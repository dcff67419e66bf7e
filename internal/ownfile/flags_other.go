//go:build !unix

package ownfile

const direct, unwaiting = 0, 0

func isLink(error) bool { return false }
