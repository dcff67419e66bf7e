// Package bench compares tufoci with plain go-tuf over http, and measures how
// both grow with the number of images. `make bench` prints the tables; nothing
// runs without the build tag bench.
package bench
