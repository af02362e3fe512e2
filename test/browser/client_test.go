package browser

import (
	_ "embed"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/client.js
var clientScript string

// The client of the page against a scripted server, for what a real server does not do
// on demand: holes, gaps, resets, refusals, goodbyes.
func TestProtocolClient(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "client")
	w.do(chromedp.Navigate(n.url()))
	for _, line := range eval[[]string](w, clientScript) {
		t.Error(line)
	}
}
