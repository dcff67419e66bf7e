package doctor

import (
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/metadata"
)

// checkWorkspace looks at the files of a workspace.
func checkWorkspace(r *Report, ws *metadata.Workspace) error {
	access := Check{Area: AreaWorkspace, Name: "permissions", Status: OK, Found: ws.StateDir() + " is its owner's alone"}
	loose(&access, ws.StateDir(), 0o700)
	r.add(access, Check{Area: AreaWorkspace, Name: "lock", Status: OK, Found: "nobody changes it at the moment"})

	st, err := ws.Status()
	if err != nil {
		return err
	}
	drift := Check{Area: AreaWorkspace, Name: "drift", Status: OK, Found: "tufoci.yaml says what the metadata says"}
	if len(st.Drift) > 0 {
		drift.Status, drift.Found = Warn, strings.Join(st.Drift, "; ")
		drift.Means = "keys and thresholds of the metadata are in force; periods of tufoci.yaml hold from the next version on"
		drift.Next = "`tufoci status` shows both; `tufoci role set ROLE` changes the metadata"
	}
	staged, err := checkStaged(ws)
	if err != nil {
		return err
	}
	r.add(drift, staged)
	return nil
}

func checkStaged(ws *metadata.Workspace) (Check, error) {
	c := Check{Area: AreaWorkspace, Name: "staged", Status: OK, Found: "nothing is staged"}
	signatures, err := ws.Signatures()
	if err != nil || len(signatures) == 0 {
		return c, err
	}
	var ready, waiting []string
	for _, s := range signatures {
		if s.Complete() {
			ready = append(ready, fmt.Sprintf("%s v%d", s.Role, s.Version))
		} else {
			waiting = append(waiting, s.String())
		}
	}
	c.Found = "signed: " + strings.Join(append(ready, waiting...), "; ")
	c.Next = "`tufoci publish`"
	if len(waiting) > 0 {
		c.Found = strings.Join(append(ready, waiting...), "; ")
		c.Means = "a publish waits for these signatures, where it cannot make them itself"
		c.Next = "`tufoci sign`, then `tufoci publish`"
	}
	return c, nil
}
