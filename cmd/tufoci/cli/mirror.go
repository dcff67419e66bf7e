package cli

import "github.com/spf13/cobra"

func (a *app) newMirror() *cobra.Command {
	return newGroup("mirror", "Verified copies of trust repositories",
		a.newMirrorCopy("copy"), a.newMirrorSave(), a.newMirrorLoad(), a.newMirrorSync())
}

// newCp is the short form of mirror copy.
func (a *app) newCp() *cobra.Command {
	cmd := a.newMirrorCopy("cp")
	cmd.Hidden = true
	return cmd
}
