package browser

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// Messages sent while the server is down arrive once, when it is back.
func TestOutboxSurvivesTheServer(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "ben", "")
	ada.send("before")
	ben.waitMessage("before")

	n.kill()
	ada.wait("notice of it", `document.querySelector('#chat').dataset.state !== 'online' && !document.querySelector('#status').hidden`)
	ada.send("meanwhile 1")
	ada.send("meanwhile 2")
	ada.wait("both pending", `document.querySelectorAll('.message.pending').length === 2`)
	n.start()
	for _, w := range []*window{ada, ben} {
		w.waitOnline()
		w.waitMessage("meanwhile 2")
		w.wait("nothing pending", `!document.querySelector('.pending')`)
	}
	want := []string{"before", "meanwhile 1", "meanwhile 2"}
	for _, w := range []*window{ada, ben} {
		if got := w.messages(); !slices.Equal(got, want) {
			t.Errorf("%s sees %q, want %q", w.name, got, want)
		}
	}
}

// Messages in the outbox survive closing the page.
func TestOutboxSurvivesTheReload(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "ben", "")
	n.kill()
	ada.send("do not lose me")
	ada.wait("it pending", `document.querySelectorAll('.message.pending').length === 1`)
	ada.do(chromedp.Navigate("about:blank"))
	n.start()
	ada.do(chromedp.Navigate(n.url()))
	want := []string{"do not lose me"}
	for _, w := range []*window{ada, ben} {
		w.waitOnline()
		w.waitMessage("do not lose me")
		w.wait("nothing pending", `!document.querySelector('.pending')`)
		if got := w.messages(); !slices.Equal(got, want) {
			t.Errorf("%s sees %q, want %q", w.name, got, want)
		}
	}
	ada.do(chromedp.Reload())
	ada.waitMessage("do not lose me")
	if got := ada.messages(); !slices.Equal(got, want) {
		t.Errorf("after another reload ada sees %q, want %q", got, want)
	}
}

// The server is killed in the middle of a burst: some messages are stored and not
// confirmed, others never arrived. Afterwards each is there once and in order.
func TestKilledInTheMiddle(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "ben", "")
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("line %d", i))
	}
	eval[bool](ada, `(() => {
		const text = document.querySelector('#text');
		for (let i = 0; i < 40; i++) {
			text.value = 'line ' + i;
			text.dispatchEvent(new Event('input'));
			document.querySelector('#composer').requestSubmit();
		}
		return true;
	})()`)
	ben.waitMessage("line 3")
	n.kill()
	n.start()
	for _, w := range []*window{ada, ben} {
		w.waitOnline()
		w.waitMessage("line 39")
		w.wait("nothing pending", `!document.querySelector('.pending')`)
	}
	ben.do(chromedp.Reload())
	ben.waitMessage("line 39")
	eval[bool](ben, `document.querySelector('#timeline').scrollTop = 0, true`)
	for _, w := range []*window{ada, ben} {
		w.wait("all lines", `document.querySelectorAll('.message').length >= 40`)
		if got := w.messages(); !slices.Equal(got, want) {
			t.Errorf("%s sees %q", w.name, got)
		}
	}
}
