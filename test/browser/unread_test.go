package browser

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// mark is the user's own read mark of a room, as the server has it.
func (n *node) mark(user, room string) int {
	n.t.Helper()
	var list struct {
		Rooms []struct {
			Room string
			Read int
		}
	}
	n.call("GET", "v1/rooms", user, "", &list)
	for _, r := range list.Rooms {
		if r.Room == room {
			return r.Read
		}
	}
	n.t.Fatalf("%s is not in %s", user, room)
	return 0
}

// visible are the texts of the messages that are wholly on the screen.
const visible = `[...document.querySelectorAll('.message')].filter((m) => {
	const box = document.querySelector('#timeline').getBoundingClientRect(), r = m.getBoundingClientRect();
	return r.top >= box.top && r.bottom <= box.bottom + 1;
}).map((m) => m.querySelector('p').textContent)`

// A room with a long backlog opens where the reader has left it, and nothing counts as read
// that was not on the screen.
func TestBacklogOpensAtTheFirstUnreadMessage(t *testing.T) {
	n := startNode(t)
	n.post("ben", "lobby", "before")
	ada := enter(t, n, "ada", "")
	ada.waitMessage("before")
	ada.do(chromedp.Navigate("about:blank"))
	for i := range 130 {
		n.post("ben", "lobby", fmt.Sprintf("news %d", i))
	}
	start := n.mark("ada", "lobby")
	ada.do(chromedp.Navigate(n.url()))
	ada.wait("the line above the first unread message", `document.querySelector('.new + .message p').textContent === 'news 0'
		&& `+visible+`.includes('news 0')`)
	seen := eval[[]string](ada, visible)
	if len(seen) < 5 || len(seen) > 40 {
		t.Fatalf("on the screen: %q", seen)
	}
	last := seen[len(seen)-1]
	ada.wait("the mark on the last one seen", `document.querySelector('#jump').textContent === '↓ `+fmt.Sprint(131-start-slices.Index(n.texts(t), last))+` new'`)
	if got, want := n.mark("ada", "lobby"), slices.Index(n.texts(t), last)+1; got != want {
		t.Errorf("read up to %d, and %q is %d", got, last, want)
	}
	ada.wait("the number of unread messages in the title", `document.title.startsWith('(')`)

	// Scrolling down comes to the end without a hole, and holds no more than a bounded part.
	read := slices.Clone(seen)
	for range 200 {
		here := eval[[]string](ada, `new Promise((done) => {
			const box = document.querySelector('#timeline');
			box.scrollTop += box.clientHeight / 2;
			requestAnimationFrame(() => requestAnimationFrame(() => done(`+visible+`)));
		})`)
		for _, text := range here {
			if !slices.Contains(read, text) {
				read = append(read, text)
			}
		}
		if slices.Contains(here, "news 129") {
			break
		}
	}
	if want := n.texts(t); !slices.Equal(read[slices.Index(read, "news 0"):], want[1:]) {
		t.Errorf("scrolling down showed %q", read)
	}
	ada.wait("all read", `document.querySelector('#jump').hidden && document.title === 'lobby · Roomtide'`)
}

// The way down from a backlog is one press, also if the newest messages are not loaded.
func TestJumpToTheNewest(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "")
	ada.do(chromedp.Navigate("about:blank"))
	for i := range 130 {
		n.post("ben", "lobby", fmt.Sprintf("news %d", i))
	}
	ada.do(chromedp.Navigate(n.url()))
	ada.wait("the backlog", visible+`.includes('news 0') && !document.querySelector('#jump').hidden`)
	n.post("ben", "lobby", "newest")
	ada.do(chromedp.Click("#jump"))
	ada.wait("the newest", visible+`.includes('newest') && document.querySelector('#jump').hidden`)
	ada.send("an answer")
	ada.wait("the answer", visible+`.includes('an answer')`)
	ada.wait("nothing unread", `document.title === 'lobby · Roomtide'`)
}

// What is written by oneself, or read on another device, is not unread here.
func TestReadElsewhere(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "#room=work")
	phone := enter(t, n, "ada", "")
	eval[bool](ada, `location.hash = 'room=lobby', true`)
	ada.wait("the other room", `document.title === 'lobby · Roomtide'`)
	n.post("ben", "work", "one")
	for _, w := range []*window{ada, phone} {
		w.wait("a badge", `document.querySelector('#room-list .badge')?.textContent === '1'`)
	}
	eval[bool](ada, `location.hash = 'room=work', true`)
	ada.wait("it read", `document.title === 'work · Roomtide' && `+texts+`.includes('one')`)
	phone.wait("no badge", `!document.querySelector('#room-list .badge') && document.title === 'lobby · Roomtide'`)
	ada.send("two")
	phone.wait("the message without a badge", `document.querySelector('#room-list').innerText.includes('two')
		&& !document.querySelector('#room-list .badge')`)
}

// A quote leads to its message, however far up that is, and what lies between can be scrolled.
func TestQuoteLeadsToItsMessage(t *testing.T) {
	n := startNode(t)
	for i := range 250 {
		n.post("ben", "lobby", fmt.Sprintf("message %d", i))
	}
	n.call("POST", "v1/rooms/lobby/messages", "ben", `{"message":"answer","reply_to":3}`, nil)
	ada := enter(t, n, "ada", "")
	ada.waitMessage("answer")
	ada.wait("the quote", `document.querySelector('.quote').innerText.includes('message 2')`)
	ada.do(chromedp.Click(".quote"))
	ada.wait("its message", visible+`.includes('message 2') && document.activeElement.querySelector('p')?.textContent === 'message 2'`)
	if texts := ada.messages(); !slices.Equal(texts, n.texts(t)[:len(texts)]) {
		t.Errorf("around it are %q", texts)
	}
	n.post("ben", "lobby", "news")
	ada.wait("the way down", `document.querySelector('#jump').textContent === '↓ 1 new'`)
	ada.do(chromedp.Click("#jump"))
	ada.wait("the newest", visible+`.includes('news')`)
}

// However many messages come and go, the document holds a bounded part of them.
func TestDocumentIsBounded(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "")
	const rows = `document.querySelectorAll('.message').length`
	for i := range 300 {
		n.post("ben", "lobby", fmt.Sprintf("message %d", i))
	}
	ada.waitMessage("message 299")
	if got := eval[int](ada, rows); got > 230 {
		t.Errorf("%d messages are in the document", got)
	}
	ada.wait("message 0, scrolling up", `(document.querySelector('#timeline').scrollTop = 0,
		window.most = Math.max(window.most ?? 0, `+rows+`), `+texts+`.includes('message 0'))`)
	if got := eval[int](ada, `window.most`); got > 260 {
		t.Errorf("scrolled up, %d messages are in the document", got)
	}
	for i := range 100 {
		n.post("ben", "lobby", fmt.Sprintf("later %d", i))
	}
	ada.wait("the count", `document.querySelector('#jump').textContent === '↓ 100 new'`)
	if got := eval[int](ada, rows); got > 260 {
		t.Errorf("after 100 more below the screen, %d messages are in the document", got)
	}
}

// In a burst only what fits on the screen is drawn; the rest follows when it is over.
func TestBurst(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "")
	n.post("ben", "lobby", "before")
	ada.waitMessage("before")
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		for i := range 120 {
			n.post("ben", "lobby", fmt.Sprintf("burst %d", i))
		}
	}()
	// The page is busy until all are posted, and so finds them in one frame, or a few.
	drawn := eval[[]int](ada, `new Promise((done) => {
		for (let newest = ''; newest !== 'burst 119'; ) {
			const ask = new XMLHttpRequest();
			ask.open('GET', 'v1/rooms/lobby/messages?limit=1', false);
			ask.setRequestHeader('Roomtide-User', 'ben');
			ask.send();
			newest = JSON.parse(ask.responseText).messages.at(-1)?.message;
		}
		requestAnimationFrame(function look() {
			const texts = `+texts+`;
			if (texts.at(-1) !== 'burst 119') requestAnimationFrame(look);
			else done([texts.length, document.querySelector('#timeline').clientHeight]);
		});
	})`)
	<-posted
	if rows, height := drawn[0], drawn[1]; rows*36 > height+250+36 {
		t.Errorf("%d messages were drawn on a screen of %d pixels", rows, height)
	}
	want := n.texts(t)
	ada.wait("all of them", texts+`.length === `+fmt.Sprint(len(want)))
	if got := ada.messages(); !slices.Equal(got, want) {
		t.Errorf("in the end there are %q", got)
	}
	ada.wait("the newest on the screen", visible+`.includes('burst 119') && document.querySelector('#jump').hidden`)
}

// The first unread message is where a room opens, also far behind what the server counts.
func TestThousandsUnread(t *testing.T) {
	n := startNode(t)
	n.post("ben", "lobby", "before")
	ada := enter(t, n, "ada", "")
	ada.waitMessage("before")
	ada.do(chromedp.Navigate("about:blank"))
	n.post("ben", "lobby", "news")
	var posting sync.WaitGroup
	for user := range 8 {
		posting.Go(func() {
			for i := range 300 {
				n.post(fmt.Sprintf("user%d", user), "lobby", fmt.Sprintf("more %d", i))
			}
		})
	}
	posting.Wait()
	n.post("ben", "lobby", "newest")
	first := strconv.Quote(n.texts(t)[n.mark("ada", "lobby")])
	ada.do(chromedp.Navigate(n.url()))
	ada.wait("the line above the first unread message", `document.querySelector('.new + .message p').textContent === `+first+`
		&& `+visible+`.includes(`+first+`)`)
	ada.wait("how many there are", `/^↓ \d+\+ new$/.test(document.querySelector('#jump').textContent)`)
	if got := n.mark("ada", "lobby"); got > 60 {
		t.Errorf("read up to %d of 2402", got)
	}
	if got := eval[int](ada, `document.querySelectorAll('.message').length`); got > 70 {
		t.Errorf("%d messages were loaded", got)
	}
	ada.do(chromedp.Click("#jump"))
	ada.wait("the newest", visible+`.includes('newest') && document.querySelector('#jump').hidden`)
}
