package console

import "strconv"

// onWire writes a row's number as the documentation shows it.
func onWire(n int) string {
	switch {
	case n == 0:
		return "–"
	case n < 1000:
		return "HTTP " + strconv.Itoa(n)
	case n >= 4300:
		return "error " + strconv.Itoa(n)
	}
	return "close " + strconv.Itoa(n)
}
