// Package ownfile reads and locks files of directories that only tufoci writes to,
// and that somebody may have tampered with all the same: nothing is waited for, a
// link is not followed unless that is asked for, and no more is read than was asked for.
package ownfile
