package testprocess

import (
	"errors"
	"os/exec"
	"strings"
)

// chromiums are the names of the browser, as in scripts/need.
var chromiums = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"headless-shell", "headless_shell", "chrome",
}

// Chromium returns the path of an installed Chromium or Chrome.
func Chromium() (string, error) {
	for _, name := range chromiums {
		if file, err := exec.LookPath(name); err == nil {
			return file, nil
		}
	}
	return "", errors.New("none of " + strings.Join(chromiums, ", ") + " is in PATH; install the package chromium")
}
