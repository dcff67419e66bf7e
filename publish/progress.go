package publish

// Progress is told what is being sent. The calls come from several goroutines,
// but never two at the same time. A nil Progress is not told.
type Progress interface {
	// Begin comes once before the first blob: how many there are and their
	// bytes in all. It comes again when a plan is made anew because the head
	// moved.
	Begin(blobs int, bytes int64)
	// Start says that a blob of size bytes is being sent. name is its title,
	// or its digest if it has none.
	Start(name string, size int64)
	// Done says that it has arrived, or why not.
	Done(name string, size int64, err error)
}
