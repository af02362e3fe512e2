package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// holdMessages keeps what the page sends in held until it goes, and lets the server seem to
// have accepted it: a single node has no durable queue.
const holdMessages = `
	window.held = [];
	const send = WebSocket.prototype.send;
	WebSocket.prototype.send = function (data) {
		const f = JSON.parse(data);
		if (f.type !== 'message') return send.call(this, data);
		const accept = () => this.onmessage({ data: JSON.stringify({ type: 'accepted', id: f.id, key: f.key }) });
		window.held.push({ accept, go: () => send.call(this, data) });
	};`

// A message of one's own has a clock until the server has it, one tick when the durable
// queue has it, and two when it is stored; in the words of the page's language.
func TestTicks(t *testing.T) {
	n := startNode(t)
	for _, lang := range []struct{ name, sending, accepted, sent string }{
		{"en", "Sending", "Accepted by the server", "Sent"},
		{"zh-CN", "发送中", "服务器已接收", "已发送"},
	} {
		t.Run(lang.name, func(t *testing.T) {
			w := openWindow(t, "ada "+lang.name)
			w.beforeEachPage(fmt.Sprintf("Object.defineProperty(navigator, 'language', { get: () => %q });", lang.name) + holdMessages)
			w.enter(n, "")
			text := "hello in " + lang.name
			row := fmt.Sprintf(`[...document.querySelectorAll('.message.own')].find((row) => row.querySelector('p').textContent === %q)`, text)
			shows := func(kind, label string) {
				t.Helper()
				w.wait(kind, fmt.Sprintf(`(() => {
					const row = %s, [glyph, ...more] = row.querySelectorAll('.bubble small .glyph');
					const { width, height } = glyph.getBoundingClientRect();
					return !more.length && glyph.classList.contains(%q) && width > 5 && height > 5 && glyph.role === 'img'
						&& glyph.ariaLabel === %q && row.ariaLabel.includes(%[3]q) && row.classList.contains('pending') === (%[2]q !== 'sent');
				})()`, row, kind, label))
			}
			w.send(text)
			shows("sending", lang.sending)
			eval[bool](w, `held[0].accept(), true`)
			shows("accepted", lang.accepted)
			w.send("the next one")
			w.wait("the next one, sent behind it", `held.length === 2`)
			eval[bool](w, `held.forEach((m) => m.go()), true`)
			shows("sent", lang.sent)
			w.wait("two ticks under both", `document.querySelectorAll('.glyph.sent').length === 2 && !document.querySelector('.pending')`)
			w.do(chromedp.Reload())
			shows("sent", lang.sent)
		})
	}
}
