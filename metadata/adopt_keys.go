package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// fieldOwner is where tuf-on-ci says of a key who holds it.
const fieldOwner = "x-tuf-on-ci-keyowner"

// maxMadeUpName bounds a name that is made of what somebody wrote into a key, in bytes: less than checkKeyName takes, so
// that a number fits behind it.
const maxMadeUpName = 40

// metadataKeys writes the keys of all delegators into tufoci.yaml. A key that stands in several places, or under several
// ids, is one key.
func (n *adoption) metadataKeys() error {
	sets, err := n.keySets()
	if err != nil {
		return err
	}
	for _, keys := range sets {
		for _, id := range slices.Sorted(maps.Keys(keys)) {
			key := keys[id]
			if n.w.keyName(key) != "" {
				continue
			}
			public, err := MarshalPublicKey(key)
			if err != nil {
				if !slices.Contains(n.found.Unusable, id) {
					n.found.Unusable = append(n.found.Unusable, id)
				}
				continue
			}
			owner, _ := key.UnrecognizedFields[fieldOwner].(string)
			n.w.cfg.Keys[n.freeKeyName(owner, id)] = KeyConfig{Public: string(public), Owner: owner}
		}
	}
	return nil
}

// keySets are the keys of root, then those of each role that delegates.
func (n *adoption) keySets() ([]map[string]*tuf.Key, error) {
	v := n.w.baseView()
	root, err := v.root()
	if err != nil {
		return nil, err
	}
	sets := []map[string]*tuf.Key{root.Signed.Keys}
	roles, err := v.targetRoles()
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if _, isBin, err := v.binParent(role); err != nil {
			return nil, err
		} else if isBin {
			continue // which delegate nothing, and may be many
		}
		md, err := v.targets(role)
		if err != nil {
			return nil, err
		}
		if md != nil && md.Signed.Delegations != nil {
			sets = append(sets, md.Signed.Delegations.Keys)
		}
	}
	return sets, nil
}

// freeKeyName makes up the name of a key: after its owner, else after its id.
func (n *adoption) freeKeyName(owner, id string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '-'
	}, strings.ToLower(strings.TrimSpace(owner)))
	name = strings.Trim(name[:min(len(name), maxMadeUpName)], "-._")
	if name == "" {
		name = "key-" + strings.ToLower(short(id))
	}
	if checkKeyName(name) != nil { // an id of others can be anything
		name = "key"
	}
	free := name
	for i := 2; n.variableTaken(free); i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

// variableTaken reports whether a key has this name, or one whose passphrase would be in the same variable.
func (n *adoption) variableTaken(name string) bool {
	for other := range n.w.cfg.Keys {
		if passphraseVariable(other) == passphraseVariable(name) {
			return true
		}
	}
	return false
}

// attachKeys names keys as the options say, after their files, and writes down where their private halves are.
func (n *adoption) attachKeys() error {
	for _, role := range slices.Sorted(maps.Keys(n.o.Keys)) {
		rules, err := n.rulesOf(role)
		if err != nil {
			return err
		}
		for _, uri := range n.o.Keys[role] {
			name, k, pub, err := n.w.keyBehind(uri)
			if err != nil {
				return fmt.Errorf("key of %s: %w", role, err)
			}
			if !inRules(rules, pub) {
				return fmt.Errorf("%w: %s holds no key of %s", ErrKey, uri, role)
			}
			if err := n.attach(name, k.URI, pub); err != nil {
				return fmt.Errorf("key of %s: %w", role, err)
			}
		}
	}
	return nil
}

// rulesOf are those of a role of the repository, "bins" being all hash bins. ErrNoRole.
func (n *adoption) rulesOf(role string) ([]rule, error) {
	v := n.w.baseView()
	if role == binsRole {
		bins, err := v.bins()
		if err != nil {
			return nil, err
		}
		if bins == nil {
			return nil, fmt.Errorf("%w: there are no hash bins", ErrNoRole)
		}
		role = bins.succinct.GetRoles()[0]
	}
	return v.rules(role)
}

// attach gives a key that tufoci.yaml has another name, and a URI if it is not "".
func (n *adoption) attach(name, uri string, pub *tuf.Key) error {
	old := n.w.keyName(pub)
	k := n.w.cfg.Keys[old]
	if uri != "" {
		k.URI = uri
	}
	delete(n.w.cfg.Keys, old)
	if _, taken := n.w.cfg.Keys[name]; taken {
		return fmt.Errorf("%w: two keys would be named %q", ErrKeyExists, name)
	}
	n.w.cfg.Keys[name] = k
	return checkKeyName(name)
}
