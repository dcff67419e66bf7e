package notationdir

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/tufoci/tufoci/trust"
)

const (
	stateDir      = ".tufoci" // below Config; not a name that Notation reads
	stateFile     = "state.json"
	lockFile      = "lock"
	stagingPrefix = ".tufoci-"
	stateVersion  = 1
)

// state is the file state.json: what syncs have written to the directory, to know
// it again. It protects from no rollback; that is for the state of the trust.
//
// It is written before anything else, with what is to be there added to what is
// there, and once more at the end. So a sync that is killed leaves nothing behind
// that the next one takes for somebody else's.
type state struct {
	Version int `json:"version"`
	// Pending: a sync has begun to work, and not ended.
	Pending bool `json:"pending,omitempty"`
	// Policy is the hex sha256 of each content of a policy file that is ours: the
	// one that was written last, and before it is written also the one before.
	Policy []string           `json:"policy"`
	Trusts map[string]*record `json:"trusts"`
	// Stores by TYPE/NAME.
	Stores map[string]*storeRecord `json:"stores"`
}

// record is what was written for one trust.
type record struct {
	RootSHA256 string           `json:"rootSha256"` // of the pin
	Root       trust.RoleStatus `json:"root"`
	Timestamp  trust.RoleStatus `json:"timestamp"`
	Snapshot   trust.RoleStatus `json:"snapshot"`
	Targets    trust.RoleStatus `json:"targets"`
	// Statements of the policy; none in PolicyNone.
	Statements []trustpolicy.TrustPolicy `json:"statements"`
	// CRLs are the files in the CRL cache, with the hex sha256 that was written.
	CRLs map[string]string `json:"crls"`
	// Plain: written with PolicyNone.
	Plain bool `json:"plain,omitempty"`
	// Closed is why [Close] was called; "" if it was not.
	Closed string `json:"closed,omitempty"`
}

// storeRecord is one store of ours.
type storeRecord struct {
	Trust string            `json:"trust"`
	Files map[string]string `json:"files"` // name to hex sha256
	// Plain: it has the name that the trust gives it, and changes in place.
	Plain bool `json:"plain,omitempty"`
	// Retired is since when nothing names it.
	Retired *time.Time `json:"retired,omitempty"`
}

func newState() *state {
	return &state{Version: stateVersion, Trusts: map[string]*record{}, Stores: map[string]*storeRecord{}}
}

// parseState reads state.json; nil data is an empty state.
func parseState(data []byte) (*state, error) {
	s := newState()
	if data == nil {
		return s, nil
	}
	var head struct{ Version int }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if head.Version != stateVersion {
		return nil, &laterStateError{head.Version}
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	for name, r := range s.Trusts {
		if r == nil {
			return nil, fmt.Errorf("%w: trust %q is null", ErrState, name)
		}
	}
	for name, r := range s.Stores {
		if _, _, ok := splitStore(name); !ok || r == nil {
			return nil, fmt.Errorf("%w: store %q", ErrState, name)
		}
	}
	return s, nil
}

// laterStateError is not overcome by PolicyReplace: a later tufoci knows what lies
// in the directory, this one does not.
type laterStateError struct{ version int }

func (e *laterStateError) Error() string {
	return fmt.Sprintf("%s: %s: it needs one that reads version %d, this one reads %d", ErrState, trust.ErrStateFormat, e.version, stateVersion)
}

func (e *laterStateError) Is(target error) bool {
	return target == ErrState || target == trust.ErrStateFormat
}

func (s *state) marshal() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // strings, numbers and times
	}
	return out.Bytes()
}

// clone copies what is changed in place.
func (s *state) clone() *state {
	c := &state{Version: s.Version, Policy: slices.Clone(s.Policy), Trusts: maps.Clone(s.Trusts), Stores: map[string]*storeRecord{}}
	for name, r := range s.Stores {
		copied := *r
		c.Stores[name] = &copied
	}
	return c
}

// intent is what is written first: all that is there and all that will be.
func (s *state) intent(next *state) *state {
	in := next.clone()
	in.Pending = true
	for _, sum := range s.Policy {
		if !slices.Contains(in.Policy, sum) {
			in.Policy = append(in.Policy, sum)
		}
	}
	for name, old := range s.Stores {
		if in.Stores[name] == nil {
			in.Stores[name] = old
			continue
		}
		files := maps.Clone(old.Files)
		if files == nil {
			files = map[string]string{}
		}
		maps.Copy(files, in.Stores[name].Files)
		in.Stores[name].Files = files
	}
	return in
}

// newRecord notes what a sync rests on.
func newRecord(st trust.Status) *record {
	return &record{
		RootSHA256: st.RootSHA256, Root: st.Root, Timestamp: st.Timestamp, Snapshot: st.Snapshot, Targets: st.Targets,
		CRLs: map[string]string{},
	}
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
