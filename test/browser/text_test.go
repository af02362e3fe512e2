package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Addresses as texts have them become links, whole and without the sentence around them.
func TestLinks(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "links")
	w.do(chromedp.Navigate(n.url()))
	for text, want := range map[string]string{
		"http://münchen.de/straße und":                       "http://münchen.de/straße",
		"https://example.org/?q=中文&x=1，好":                    "https://example.org/?q=中文&x=1",
		"(see https://en.wikipedia.org/wiki/Tide_(x))":       "https://en.wikipedia.org/wiki/Tide_(x)",
		"[https://example.org/a], **https://example.org/b**": "https://example.org/a https://example.org/b",
		"请看www.例子.中国/路径。谢谢":                                  "www.例子.中国/路径",
		"write to ann.o+x@example.org, or www.example.org.":  "ann.o+x@example.org www.example.org",
		"https://example.org/a,b;c=d#e? Yes!":                "https://example.org/a,b;c=d#e",
		"<https://example.org/>":                             "https://example.org/",
		"foo.www.example.org a@b https:// www.a javascript:": "",
	} {
		got := eval[string](w, fmt.Sprintf(`import('/static/text.js').then(({ linked }) =>
			linked(%q).filter((node) => node.href).map((node) => node.textContent).join(' '))`, text))
		if got != want {
			t.Errorf("%q has the links %q, want %q", text, got, want)
		}
	}
	hrefs := eval[[]string](w, `import('/static/text.js').then(({ linked }) =>
		linked('www.example.org a@example.org').filter((node) => node.href).map((node) => node.href))`)
	if !slices.Equal(hrefs, []string{"https://www.example.org/", "mailto:a@example.org"}) {
		t.Errorf("the links lead to %q", hrefs)
	}
	took := eval[float64](w, `import('/static/text.js').then(({ linked }) => {
		const start = performance.now();
		for (const text of ['https://a.b/' + ')'.repeat(8000), 'a'.repeat(8000), 'a.'.repeat(4000), 'a@'.repeat(4000)]) linked(text);
		return performance.now() - start;
	})`)
	if took > 1000 {
		t.Errorf("hostile texts took %.0f ms", took)
	}
}

// Text from right to left is aligned at its own side, and a name turns nothing but itself.
func TestRightToLeft(t *testing.T) {
	n := startNode(t)
	arabic := strings.TrimSpace(strings.Repeat("مرحبا بالجميع ", 30))
	n.post("سلمى", "lobby", arabic)
	n.post("ben", "lobby", "👍🎉")
	ada := enter(t, n, "ada", "")
	ada.waitMessage(arabic)
	ada.wait("Arabic on its own side", `(() => {
		const p = document.querySelector('.message p'), range = document.createRange();
		range.selectNodeContents(p);
		const lines = [...range.getClientRects()].filter((r) => r.width > 20), box = p.getBoundingClientRect();
		const time = document.querySelector('.message small').getBoundingClientRect();
		const apart = (r) => r.bottom <= time.top || r.top >= time.bottom || r.right <= time.left || r.left >= time.right;
		return lines.length > 1 && lines.every((r) => Math.abs(r.right - box.right) < 8 && apart(r)) && time.left - box.left < 20;
	})()`)
	ada.wait("large emoji", `document.querySelectorAll('.message.emoji').length === 1`)
	ada.wait("isolated names", `document.querySelector('.author > bdi').textContent === 'سلمى' && document.querySelector('#room-list .preview > bdi')`)
}

// The keyboard alone: one stop for the rooms, no drawer where there is none, a way back.
func TestKeyboard(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "#room=a")
	for _, room := range []string{"b", "c", "d"} {
		ada.do(chromedp.SendKeys("#room-name", room+"\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
		ada.wait("the room", `document.querySelector('#title').textContent === '`+room+`'`)
	}
	ada.wait("one stop", `document.querySelectorAll('#room-list a').length === 4 && [...document.querySelectorAll('#room-list a')].filter((a) => a.tabIndex === 0).length === 1`)
	const next = `document.activeElement === document.querySelectorAll('#room-list a')[1]`
	for moved := false; !moved; moved = eval[bool](ada, next) { // the list may be sorted anew between the two
		eval[bool](ada, `document.querySelector('#room-list a').focus(), true`)
		ada.do(chromedp.KeyEvent(kb.ArrowDown))
	}
	if eval[bool](ada, `document.querySelector('#show-people').matches(':enabled')`) {
		t.Error("the list of people, which is on the screen, can be opened")
	}
	ada.do(chromedp.EmulateViewport(360, 640))
	ada.wait("the small screen", `(() => { // in which the list slides away from above the button
		const button = document.querySelector('#show-people'), box = button.getBoundingClientRect();
		return !button.disabled && button.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
	})()`)
	ada.do(chromedp.Click("#show-people"))
	ada.wait("the focus in the drawer", `document.querySelector('#people').contains(document.activeElement) && document.querySelector('#room').inert`)
	ada.do(chromedp.KeyEvent(kb.Escape))
	ada.wait("the focus back", `document.activeElement.id === 'show-people' && !document.querySelector('#room').inert && document.querySelector('#shade').hidden`)
}

// A text that is too long is not sent, and the page says why.
func TestTooLongText(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "")
	eval[bool](ada, `(() => {
		const text = document.querySelector('#text');
		text.value = 'x'.repeat(4050);
		text.dispatchEvent(new Event('input'));
		document.querySelector('#composer').requestSubmit();
		return true;
	})()`)
	ada.wait("the reason", `document.querySelector('#notice').textContent === 'The message is too long by 50 characters.' && !document.querySelector('#notice').hidden`)
	if got := ada.messages(); len(got) != 0 {
		t.Errorf("sent: %d messages", len(got))
	}
	ada.do(chromedp.Reload())
	ada.wait("the draft", `document.querySelector('#text').value.length === 4050`)
}

// A server whose clock was put right: each message is under its own day, and the room
// that was written in last comes first.
func TestClockPutRight(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "days")
	w.do(chromedp.Navigate(n.url()))
	got := eval[[]string](w, `(async () => {
		const [{ Timeline }, { Room }] = await Promise.all([import('/static/timeline.js'), import('/static/room.js')]);
		const chat = { user: 'ada', outbox: { of: () => [] }, limits: {} };
		const timeline = new Timeline(chat, { avatarOf: () => '' }, () => {});
		const room = new Room('r');
		room.rev = 1;
		for (const [i, day] of ['2026-01-02', '2026-01-04', '2026-01-02', '2026-01-03'].entries()) {
			room.put({ seq: i + 1, rev: i + 1, user: 'ben', message: day, time: day + 'T12:00:00Z' });
		}
		document.querySelector('#chat').hidden = false;
		timeline.show(room);
		timeline.draw();
		return [...document.querySelectorAll('#messages .day, #messages .message p')].map((node) =>
			node.className === 'day' ? node.textContent.match(/January (\d)/)[1] : node.textContent);
	})()`)
	if want := []string{"2", "2026-01-02", "4", "2026-01-04", "2", "2026-01-02", "3", "2026-01-03"}; !slices.Equal(got, want) {
		t.Errorf("days and messages are %q, want %q", got, want)
	}
	ada := enter(t, n, "ada", "#room=work")
	n.post("ben", "lobby", "first")
	ada.do(chromedp.SendKeys("#room-name", "lobby\r"))
	ada.wait("the lobby", `document.querySelector('#title').textContent === 'lobby'`)
	for _, room := range []string{"work", "lobby", "work"} {
		n.post("ben", room, "news of "+room)
		ada.wait("the order of arrival", `document.querySelector('#room-list a b').textContent === '`+room+`'`)
	}
}

// The answer to an edit ends that edit, and nothing that was begun meanwhile.
func TestAnswerToAnEdit(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "edits")
	w.do(chromedp.Navigate(n.url()))
	for _, tt := range []struct {
		name, begin string
		want        []any // what is in the box, whether it is an edit or a reply, what it is sent as
	}{
		{"nothing else", ``, []any{"", false, ""}},
		{"another edit", `composer.edit(second); type('second, half');`, []any{"second, half", true, "edit 2"}},
		{"another edit of the message", `composer.edit(first); type('first, half');`, []any{"first, half", true, "edit 1"}},
		{"a reply", `composer.reply(second); type('an answer');`, []any{"an answer", true, "reply to 2"}},
		{"another room", `composer.show({ ...room, id: 'other' }); composer.reply(second); type('an answer');`, []any{"an answer", true, "reply to 2"}},
	} {
		got := eval[[]any](w, `(async () => {
			const { Composer } = await import('/static/composer.js');
			const form = document.querySelector('#composer');
			form.replaceWith(form.cloneNode(true)); // without what listens to it for the case before
			let sent = '', answer;
			const chat = {
				user: 'ada', limits: {}, typing() {},
				edit(room, seq) { sent = 'edit ' + seq; return new Promise((done) => { answer = done; }); },
				send(room, text, to) { sent = 'reply to ' + to; },
			};
			const type = (value) => { const box = document.querySelector('#text'); box.value = value; box.dispatchEvent(new Event('input')); };
			const [first, second] = [{ seq: 1, message: 'first' }, { seq: 2, message: 'second' }];
			const room = { id: 'r', messages: [], authorOf: () => 'ben' };
			const composer = new Composer(chat, { follow() {} }, () => {}, () => {});
			composer.show(room);
			composer.edit(first);
			type('changed');
			document.querySelector('#composer').requestSubmit();
			sent = '';
			`+tt.begin+`
			await answer();
			await new Promise((done) => setTimeout(done)); // the composer has the answer
			const state = [document.querySelector('#text').value, !document.querySelector('#context').hidden];
			document.querySelector('#composer').requestSubmit();
			localStorage.clear();
			return [...state, sent];
		})()`)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
