package doctor

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/metadata"
)

// checkKeys says which private keys are at hand, and which roles they can sign. None is opened.
func checkKeys(r *Report, ws *metadata.Workspace) error {
	signing, err := ws.SigningKeys()
	if err != nil {
		return err
	}
	var hands []string
	for _, k := range signing {
		hands = append(hands, k.Name)
	}
	keys, err := ws.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		r.add(checkKey(ws, k, slices.Contains(hands, k.Name)))
	}
	st, err := ws.Status()
	if err != nil {
		return err
	}
	for _, role := range st.Roles {
		r.add(checkRole(role, hands))
	}
	return nil
}

func checkKey(ws *metadata.Workspace, k metadata.Key, here bool) Check {
	c := Check{Area: AreaKeys, Name: "key " + k.Name, Status: OK}
	switch {
	case k.URI == "":
		c.Found = "held elsewhere: its public half alone is here"
	case !here:
		c.Status, c.Found = Warn, fmt.Sprintf("%s is not at hand", k.URI)
		c.Means = "whatever it signs has to be signed where it is"
		c.Next = "bring it, or sign elsewhere; if it is lost: `tufoci rotate key OLD NEW`"
	default:
		c.Found = fmt.Sprintf("%s is at hand; whether it signs, `tufoci key test` tries", k.URI)
	}
	if path, ok := ws.KeyFile(k.Name); ok && here {
		loose(&c, path, 0o600)
	}
	return c
}

// checkRole says whether a role can be signed here, now.
func checkRole(role metadata.RoleStatus, hands []string) Check {
	c := Check{Area: AreaKeys, Name: "role " + role.Role, Status: OK}
	var here, elsewhere []string
	for _, k := range role.Keys {
		if slices.Contains(hands, k.Name) {
			here = append(here, k.Name)
		} else {
			elsewhere = append(elsewhere, k.String())
		}
	}
	c.Found = fmt.Sprintf("%d of the %d signatures that it needs can be made here", min(len(here), role.Need), role.Need)
	if len(here) > 0 {
		c.Found += ", by " + strings.Join(here, ", ")
	}
	switch {
	case len(here) >= role.Need:
	case role.Online:
		c.Status = Warn
		c.Means = "publish and refresh need it: they have to run where the key is"
		c.Next = "bring one of " + strings.Join(elsewhere, ", ") + ", or publish elsewhere"
	default:
		c.Means = "the rest comes from holders of " + strings.Join(elsewhere, ", ")
	}
	return c
}

// loose warns of a file or directory that others than its owner can read or change.
func loose(c *Check, path string, mode os.FileMode) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^mode == 0 {
		return
	}
	c.Status = Warn
	c.Found = fmt.Sprintf("%s has mode %04o", path, info.Mode().Perm())
	c.Means = "other users of this machine can get at it"
	c.Next = fmt.Sprintf("chmod %04o %s", mode, path)
}
