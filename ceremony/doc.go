// Package ceremony lets several people sign the same bytes, each where their key is, with one file that goes around.
//
// [Start] freezes what is staged of roles in a workspace and makes a [Ceremony] of it: what is to be signed, what was
// published before, and which rules decide. Its txid is the sha256 of the bytes to sign. [Ceremony.Marshal] writes the
// file, which [Parse] reads wherever a signer is: no workspace is needed to see what it changes ([metadata.Changeset.Diff]),
// to compare it with what is published ([Ceremony.CompareBase]), to sign it ([Ceremony.Sign]) and to count signatures. They
// come back in signature files, in copies of the file, or as any tool writes them, in any order ([Ceremony.Add]); none
// takes another away. [Apply] puts them into the workspace, if that still holds what was frozen, on the same base.
// [Abort] gives up. [Ceremony.Runbook] is the same for people, on paper.
//
// A file is as trustworthy as who sent it: nothing in it is believed but what is computed from it. All text in it is of
// its author; who prints it has to keep it from passing for words of the program.
package ceremony
