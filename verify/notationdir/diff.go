package notationdir

import (
	"fmt"
	"slices"
	"strings"
)

const (
	diffContext = 3
	// maxDiffCells bounds the work of a diff; beyond it, all that differs between
	// the first and the last changed line is shown as one change.
	maxDiffCells = 4 << 20
)

// edit is one line of a diff: kept ' ', removed '-' or added '+'.
type edit struct {
	kind byte
	line string
}

// unified is the difference of two texts as `diff -u` prints it; "" for none.
func unified(name string, from, to []byte) string {
	if string(from) == string(to) {
		return ""
	}
	edits := compareLines(lines(from), lines(to))
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
	for start := 0; start < len(edits); {
		first := slices.IndexFunc(edits[start:], func(e edit) bool { return e.kind != ' ' })
		if first < 0 {
			break
		}
		first += start
		end := hunkEnd(edits, first)
		writeHunk(&out, edits, max(first-diffContext, start), end)
		start = end
	}
	return out.String()
}

// hunkEnd is where the hunk ends whose first change is at i: after the context of
// the last change that has less than two contexts between itself and the next.
func hunkEnd(edits []edit, i int) int {
	last := i
	for j := i; j < len(edits) && j <= last+2*diffContext; j++ {
		if edits[j].kind != ' ' {
			last = j
		}
	}
	return min(last+1+diffContext, len(edits))
}

func writeHunk(out *strings.Builder, edits []edit, from, to int) {
	oldLine, newLine := position(edits[:from])
	oldCount, newCount := position(edits[from:to])
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(oldLine, oldCount), span(newLine, newCount))
	for _, e := range edits[from:to] {
		fmt.Fprintf(out, "%c%s\n", e.kind, e.line)
	}
}

func span(before, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, count)
}

// position counts the lines of the old and of the new text.
func position(edits []edit) (from, to int) {
	for _, e := range edits {
		if e.kind != '+' {
			from++
		}
		if e.kind != '-' {
			to++
		}
	}
	return from, to
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// compareLines finds the longest common subsequence of what lies between the
// common start and the common end.
func compareLines(a, b []string) []edit {
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	edits := keep(nil, a[:head])
	edits = append(edits, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	return keep(edits, a[len(a)-tail:])
}

func keep(edits []edit, lines []string) []edit {
	for _, line := range lines {
		edits = append(edits, edit{' ', line})
	}
	return edits
}

func middle(a, b []string) (edits []edit) {
	var common [][]int // of a[i:] and b[j:]
	if len(a)*len(b) <= maxDiffCells {
		common = make([][]int, len(a)+1)
		for i := range common {
			common[i] = make([]int, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if a[i] == b[j] {
					common[i][j] = common[i+1][j+1] + 1
				} else {
					common[i][j] = max(common[i+1][j], common[i][j+1])
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && common != nil && a[i] == b[j]:
			edits = append(edits, edit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common == nil || common[i+1][j] >= common[i][j+1]):
			edits = append(edits, edit{'-', a[i]})
			i++
		default:
			edits = append(edits, edit{'+', b[j]})
			j++
		}
	}
	return edits
}
