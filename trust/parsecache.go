package trust

import (
	"sync"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// parseCache keeps the parsed files of targets roles and which delegator has
// verified them, from one view of a client to the next: parsing is what costs
// (about 17 µs a target), and most files do not change. Both are facts about
// bytes, named by their hash, so nothing in it gets out of date. It is safe for
// concurrent use.
type parseCache struct {
	mu       sync.Mutex
	now      int // generation
	files    map[string]*parsedFile
	verified map[[2]string]error // by hash of delegator and key of delegated file; nil: verified
}

type parsedFile struct {
	file *roleFile
	used int // generation of the last use
}

// signer is a role that delegates: the root, or a targets role.
type signer struct {
	name string
	sum  string // of its file
	meta delegator
	bins *tuf.SuccinctRoles // nil if it has none
}

func rootDelegator(root rootFile) signer {
	return signer{name: tuf.ROOT, sum: hexSum(root.data), meta: root.meta}
}

func roleDelegator(r *roleFile) signer {
	s := signer{name: r.name, sum: r.sum, meta: r.meta}
	if d := r.meta.Signed.Delegations; d != nil && d.Roles == nil {
		s.bins = d.SuccinctRoles
	}
	return s
}

// maxWork bounds the verification of one delegated file, in bytes: it goes over the file
// for each key that the delegator names, and no deadline interrupts that. Whoever has the
// key of the delegator names them.
const maxWork = 256 << 20

// keys is how many keys may sign a delegated role; 0 for the root, whose keys are those of
// the whole repository.
func (s signer) keys(role string) int64 {
	meta, ok := s.meta.(*tuf.Metadata[tuf.TargetsType])
	if !ok || meta.Signed.Delegations == nil {
		return 0
	}
	if s.bins != nil {
		return int64(len(s.bins.KeyIDs))
	}
	for _, r := range meta.Signed.Delegations.Roles {
		if r.Name == role {
			return int64(len(r.KeyIDs))
		}
	}
	return 0
}

func newParseCache() *parseCache {
	return &parseCache{files: map[string]*parsedFile{}, verified: map[[2]string]error{}}
}

// next starts a generation and forgets what the last one did not use.
func (c *parseCache) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep, sums := map[string]bool{}, map[string]bool{}
	for key, p := range c.files {
		if p.used < c.now {
			delete(c.files, key)
			continue
		}
		keep[key], sums[p.file.sum] = true, true
	}
	// A delegator changes more often than what it delegates to.
	for pair := range c.verified {
		if !sums[pair[0]] || !keep[pair[1]] {
			delete(c.verified, pair)
		}
	}
	c.now++
}

func cacheKey(role, sum string) string { return sum + " " + role }

// known returns the parsed file of these bytes, nil if they were not parsed yet.
func (c *parseCache) known(role string, data []byte) *roleFile {
	if data == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.files[cacheKey(role, hexSum(data))]
	if p == nil {
		return nil
	}
	p.used = c.now
	return p.file
}

// add keeps a parsed file.
func (c *parseCache) add(file *roleFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[cacheKey(file.name, file.sum)] = &parsedFile{file, c.now}
}

// addVerified keeps a parsed file that a delegator has verified.
func (c *parseCache) addVerified(by signer, file *roleFile) {
	c.add(file)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verified[[2]string{by.sum, cacheKey(file.name, file.sum)}] = nil
}

// parse checks and parses a file, unless it has done so before.
func (c *parseCache) parse(role string, data []byte) (*roleFile, error) {
	if file := c.known(role, data); file != nil {
		return file, nil
	}
	meta, err := parse[tuf.TargetsType](role, data)
	if err != nil {
		return nil, err
	}
	file := newRoleFile(role, data, meta)
	c.add(file)
	return file, nil
}

// verify verifies a file by one delegator, unless it has done so before. For hash
// bins go-tuf does not check that the name is that of one of them.
func (c *parseCache) verify(by signer, file *roleFile) error {
	pair := [2]string{by.sum, cacheKey(file.name, file.sum)}
	c.mu.Lock()
	err, done := c.verified[pair]
	c.mu.Unlock()
	if done {
		return err
	}
	if by.bins != nil && !by.bins.IsDelegatedRole(file.name) {
		err = &VerificationError{
			Kind: ErrThreshold, Role: file.name, Version: file.version(), By: by.name,
			Detail: "the delegator has no hash bin of that name",
		}
	} else if work := by.keys(file.name) * int64(len(file.data)); work > maxWork {
		err = &VerificationError{
			Kind: ErrMalformed, Role: file.name, Version: file.version(), By: by.name,
			Err: &fetcher.LimitError{Title: "its keys, each over the whole file", Size: work, Max: maxWork},
		}
	} else {
		err = verifyBy(by.meta, by.name, file.name, file.version(), file.meta)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verified[pair] = err
	return err
}
