//go:build unix

package main

import "context"

func chromiumNeed() need {
	return need{
		name:    "chromium",
		env:     "TEST_CHROMIUM",
		sources: []source{localChromium, debianPackage("chromium", localChromium)},
		hint:    "install Chromium or Chrome (apt-get install chromium, brew install --cask chromium)",
	}
}

// localChromium finds a browser; tests start it themselves.
func localChromium(_ context.Context, k *kit) (string, error) {
	path := findProgram("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	for _, app := range []string{
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path == "" && isProgram(app) {
			path = app
		}
	}
	if path != "" {
		k.say("chromium: using %s", path)
	}
	return path, nil
}
