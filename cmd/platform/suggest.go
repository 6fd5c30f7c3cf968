package main

import "strings"

// didYouMean ends an error about an unknown name with the nearest known one,
// or with where to find all of them.
func didYouMean(name string, known []string, style func(string) string) string {
	if best := nearest(name, known); best != "" {
		return "; did you mean " + style(best) + "?"
	}
	return "; `platform serve --help` lists all"
}

// nearest returns the known name closest to name, or "" if none is close
// enough to be what was meant.
func nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, least := "", 0
	for _, k := range known {
		d := distance(name, k)
		if d <= max(2, len(k)/3) && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of single-character changes that turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
