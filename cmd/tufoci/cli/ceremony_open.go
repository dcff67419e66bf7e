package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

// openCeremony is a ceremony that has frozen roles of a workspace.
type openCeremony struct {
	TxID    string   `json:"txid"`
	Message string   `json:"message"`
	File    string   `json:"file"`
	Since   moment   `json:"since"`
	Roles   []string `json:"roles"`
}

func openCeremonies(frozen []metadata.Freeze) []openCeremony {
	out := make([]openCeremony, 0, len(frozen))
	for _, f := range frozen {
		c := openCeremony{TxID: f.ID, Message: f.Message, File: f.File, Since: moment{f.Since}, Roles: []string{}}
		for _, r := range f.Roles {
			c.Roles = append(c.Roles, r.Role)
		}
		out = append(out, c)
	}
	return out
}

func writeOpenCeremonies(w io.Writer, open []openCeremony, now time.Time) {
	for _, c := range open {
		fmt.Fprintf(w, "ceremony %s %q: %s frozen since %s, %s\n", ceremony.Short(c.TxID), c.Message,
			printable(strings.Join(c.Roles, ", ")), formatTime(c.Since.Time, now), printable(c.File))
	}
}
