package metadata

import tuf "github.com/theupdateframework/go-tuf/v2/metadata"

// strangers reports whether keys were given and none of them may sign any role of the head: the job that has them was left
// behind by a rotation, and is to be told so before the roles that it cared for come to their end.
func (r *refresh) strangers() (bool, error) {
	if len(r.o.Keys) == 0 {
		return false, nil
	}
	roles, err := r.view.targetRoles()
	if err != nil {
		return false, err
	}
	for _, role := range append([]string{tuf.TIMESTAMP, tuf.SNAPSHOT, tuf.ROOT}, roles...) {
		rules, err := r.view.rules(role)
		if err != nil {
			return false, err
		}
		if len(r.atHand(rules...)) > 0 {
			return false, nil
		}
	}
	return true, nil
}
