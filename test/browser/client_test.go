package browser

import (
	_ "embed"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/client.js
var clientScript string

// What no real server does on demand: holes, gaps, resets, refusals, goodbyes.
func TestProtocolClient(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "client")
	w.do(chromedp.Navigate(n.url()))
	for _, line := range eval[[]string](w, clientScript) {
		t.Error(line)
	}
}
