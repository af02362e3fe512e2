package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestTwoUsersChat(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "ben", "")

	for _, w := range []*window{ada, ben} {
		w.wait("both online", `document.querySelector('#people-list').innerText.includes('ada')
			&& document.querySelector('#people-list').innerText.includes('ben')
			&& document.querySelector('#count').textContent === '2'`)
	}
	ada.do(chromedp.SendKeys("#text", "Hel"))
	ben.wait("typing", `document.querySelector('#typing').textContent === 'ada is typing…'`)
	ada.do(chromedp.SendKeys("#text", "lo\r"))
	ben.waitMessage("Hello")
	ben.wait("typing to end", `document.querySelector('#typing').textContent === ''`)
	ben.wait("the announcement", `document.querySelector('#live').textContent === 'ada: Hello'`)
	ada.wait("the read mark", `document.querySelector('.seen').textContent === 'Seen by ben'`)
	if own := eval[bool](ben, `document.querySelector('.message').classList.contains('own')`); own {
		t.Error("ben sees ada's message as his own")
	}
	ada.wait("one's own message, confirmed", `document.querySelectorAll('.message.own:not(.pending)').length === 1`)

	ben.do(chromedp.Navigate(n.url() + "nothing"))
	ada.wait("ben gone", `document.querySelector('#count').textContent === '1'`)
	ben.do(chromedp.Navigate(n.url()))
	ben.waitMessage("Hello")
	if room := eval[string](ben, `location.hash`); room != "#room=lobby" {
		t.Errorf("the address is %s, want the room in it", room)
	}
	ada.wait("ben back", `document.querySelector('#count').textContent === '2'`)
}

func TestTextIsNeverMarkup(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "<b>ben</b>", "")
	evil := `<img src=x onerror="document.title='broken'"> javascript:alert(1) https://example.org/a?b=(c). (https://example.org/b). 好https://example.org/d。`
	ben.send(evil)
	ada.waitMessage(evil)
	links := eval[[]string](ada, `[...document.querySelectorAll('.bubble a')].map((a) => a.href + ' ' + a.rel + ' ' + a.textContent)`)
	want := []string{
		"https://example.org/a?b=(c) noopener noreferrer https://example.org/a?b=(c)",
		"https://example.org/b noopener noreferrer https://example.org/b",
		"https://example.org/d noopener noreferrer https://example.org/d",
	}
	if !slices.Equal(links, want) {
		t.Errorf("links are %q, want %q", links, want)
	}
	if n := eval[int](ada, `document.querySelectorAll('#messages img, #messages b b, #people-list b, #room-list b b').length`); n != 0 {
		t.Errorf("%d elements came from the text of a message", n)
	}
}

func TestChangesToMessages(t *testing.T) {
	n := startNode(t)
	ada, ben := enter(t, n, "ada", ""), enter(t, n, "ben", "")
	ada.send("first")
	ada.send("secnd")
	ben.waitMessage("secnd")

	ada.wait("both confirmed", `document.querySelectorAll('.message.own:not(.pending)').length === 2`)
	ada.do(chromedp.Focus("#text"), chromedp.KeyEvent(kb.ArrowUp)) // edit the newest own message
	ada.wait("editing", `document.querySelector('#text').value === 'secnd'`)
	eval[bool](ada, `document.querySelector('#text').value = '', true`)
	ada.send("second")
	ben.waitMessage("second")
	ben.wait("the word edited", `[...document.querySelectorAll('.bubble small')].at(-1).textContent.startsWith('edited')`)

	ben.hover("first")
	ben.press("React 🎉")
	ada.wait("the reaction", `document.querySelector('.reaction').textContent === '🎉 1' && document.querySelector('.reaction').ariaPressed === 'false'`)
	ada.do(chromedp.Click(".reaction"))
	ben.wait("two reactions", `document.querySelector('.reaction').textContent === '🎉 2'`)
	ben.do(chromedp.Click(".reaction"))
	ada.wait("one reaction again", `document.querySelector('.reaction').textContent === '🎉 1'`)

	ben.hover("first")
	ben.press("Reply")
	ben.send("an answer")
	ada.wait("the quote", `document.querySelector('.quote').innerText === 'ada\nfirst'`)

	ben.hover("second")
	if eval[bool](ben, `!!document.querySelector('.actions [aria-label="Delete"]')`) {
		t.Error("ben may delete ada's message")
	}
	ada.hover("first")
	ada.press("Delete")
	if got := ada.messages(); !slices.Contains(got, "first") {
		t.Error("deleted at the first press, without a confirmation")
	}
	ada.press("Delete")
	ben.wait("the deletion", texts+`.join() === 'Message deleted,second,an answer'`)
	ben.wait("the quote to follow", `document.querySelector('.quote').innerText === 'ada\nMessage deleted'`)
}

func TestOtherRoomsAreCounted(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "#room=work")
	ada.wait("the room", `document.querySelector('#title').textContent === 'work'`)
	ada.do(chromedp.SendKeys("#room-name", "tea & talk\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	ada.wait("the new room", `document.querySelector('#title').textContent === 'tea & talk' && location.hash === '#room=tea%20%26%20talk'`)
	ada.wait("both rooms in the list", `document.querySelectorAll('#room-list a').length === 2`)

	n.post("ben", "work", "one")
	n.post("ben", "work", "two")
	ada.wait("the count", `document.querySelector('#room-list .badge').textContent === '2' && document.title === '(2) tea & talk · Roomtide'`)
	if list := ada.text("#room-list"); !strings.Contains(list, "ben: two") {
		t.Errorf("the list shows no newest message: %q", list)
	}
	ada.do(chromedp.Reload())
	ada.waitOnline()
	ada.wait("the count after a reload", `document.querySelector('#room-list .badge').textContent === '2'`)

	eval[bool](ada, `location.hash = 'room=work', true`)
	ada.waitMessage("two")
	ada.wait("nothing unread", `!document.querySelector('#room-list .badge') && document.title === 'work · Roomtide'`)
	ada.wait("the line above what is new", `document.querySelector('.new + .message .bubble > p').textContent === 'one'`)

	ada.do(chromedp.Click("#leave"), chromedp.Click("#leave"))
	ada.wait("the other room", `document.querySelector('#title').textContent === 'tea & talk' && document.querySelectorAll('#room-list a').length === 1`)
}

func TestOlderMessages(t *testing.T) {
	n := startNode(t)
	var want []string
	for i := range 100 {
		text := fmt.Sprintf("message %d", i)
		n.post(fmt.Sprintf("user%d", i/50), "lobby", text)
		want = append(want, text)
	}
	ada := enter(t, n, "ada", "")
	ada.waitMessage("message 99")
	if n := len(ada.messages()); n >= 100 {
		t.Fatalf("%d messages were loaded at once", n)
	}
	// Loading older messages does not move what is visible.
	for range 10 {
		moved := eval[float64](ada, `new Promise((done) => {
			const box = document.querySelector('#timeline');
			box.scrollTop = 100;
			const top = box.getBoundingClientRect().top;
			const seen = [...box.querySelectorAll('.message')].find((m) => m.getBoundingClientRect().top > top);
			const before = seen.getBoundingClientRect().bottom;
			const count = box.querySelectorAll('.message').length;
			const end = Date.now() + 2000;
			const look = () => {
				if (box.querySelectorAll('.message').length === count && Date.now() < end && count < 100) setTimeout(look, 20);
				else done(Math.abs(seen.getBoundingClientRect().bottom - before));
			};
			look();
		})`)
		if moved > 2 {
			t.Errorf("visible messages moved by %g pixels", moved)
		}
		if len(ada.messages()) == 100 {
			break
		}
	}
	ada.wait("the beginning", `document.querySelector('#messages').innerText.includes('This is the beginning of lobby.')`)
	if got := ada.messages(); !slices.Equal(got, want) {
		t.Errorf("the messages are %q", got)
	}

	n.post("ben", "lobby", "news")
	ada.wait("the way down", `document.querySelector('#jump').textContent === '↓ 1 new' && !document.querySelector('#jump').hidden`)
	ada.do(chromedp.Click("#jump"))
	ada.waitMessage("news")
	ada.wait("everything read", `document.querySelector('#jump').hidden && document.title === 'lobby · Roomtide'`)
}

func TestSmallScreen(t *testing.T) {
	n := startNode(t)
	ada := openWindow(t, "ada")
	ada.do(chromedp.EmulateViewport(360, 640, chromedp.EmulateMobile))
	ada.enter(n, "")
	wide := `document.documentElement.scrollWidth > innerWidth`
	if eval[bool](ada, wide) {
		t.Error("the page is wider than the screen")
	}
	shown := func(id string) string {
		return fmt.Sprintf(`(() => { const r = document.querySelector('%s').getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth; })()`, id)
	}
	for _, drawer := range []string{"rooms", "people"} {
		ada.wait(drawer+" closed from the start", "!"+shown("#"+drawer))
		ada.do(chromedp.Click("#show-" + drawer))
		ada.wait(drawer+" open", shown("#"+drawer))
		ada.do(chromedp.Click("#" + drawer + " .close"))
		ada.wait(drawer+" closed", "!"+shown("#"+drawer))
	}
}
