package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

const status = `document.querySelector('#status span').textContent`

// A room that is deleted leaves the list; on the screen it is empty and says why, as long
// as it is shown.
func TestDeletedRoom(t *testing.T) {
	n := startNode(t)
	owner := enter(t, n, "owner", "#room=work")
	ada := enter(t, n, "ada", "")
	ada.do(chromedp.SendKeys("#room-name", "work\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	ada.wait("the room", `document.querySelector('#title').textContent === 'work' && !document.querySelector('#composer').hidden`)
	owner.send("hello")
	ada.waitMessage("hello")
	eval[bool](owner, `location.hash = 'room=lobby', true`)
	owner.wait("the other room", `document.querySelector('#title').textContent === 'lobby' && document.querySelector('#room-list').innerText.includes('work')`)

	n.call("DELETE", "v1/rooms/work", "owner", "", nil)
	ada.wait("the reason", status+` === 'This room was deleted.' && document.querySelector('#composer').hidden
		&& document.querySelector('#status button').hidden && !`+texts+`.includes('hello')`)
	owner.wait("the list without it", `!document.querySelector('#room-list').innerText.includes('work') && document.querySelector('#title').textContent === 'lobby'`)
	eval[bool](ada, `location.hash = 'room=lobby', true`)
	ada.wait("the list without it", `!document.querySelector('#room-list').innerText.includes('work')`)
}

// More unread messages than the server counts are shown with a plus.
func TestUncountedMessages(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "#room=work")
	ada.wait("the room", `document.querySelector('#title').textContent === 'work'`)
	eval[bool](ada, `location.hash = 'room=lobby', true`)
	ada.wait("the other room", `document.querySelector('#title').textContent === 'lobby'`)
	const deleted = 60 // they do not count, so that what is counted is less than what is looked at
	for i := range 1010 {
		n.post("ben", "work", fmt.Sprintf("news %d", i))
		if i >= 1010-deleted {
			n.call("DELETE", fmt.Sprintf("v1/rooms/work/messages/%d", i+1), "ben", "", nil)
		}
	}
	ada.do(chromedp.Reload())
	ada.wait("the badge", fmt.Sprintf(`document.querySelector('#room-list .badge')?.textContent === '%d+'`, 1000-deleted))
	eval[bool](ada, `location.hash = 'room=work', true`)
	ada.wait("the room", `document.querySelector('#title').textContent === 'work'`)
	ada.do(chromedp.Click("#jump"))
	ada.wait("no badge", `!document.querySelector('#room-list .badge')`)
}

// The user is put out of the room on the screen, or banned from it: the page stays there,
// says so, and touches no other room.
func TestPutOutOfTheRoom(t *testing.T) {
	n := startNode(t)
	owner := enter(t, n, "owner", "#room=work")
	ada := enter(t, n, "ada", "")
	ada.do(chromedp.SendKeys("#room-name", "work\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	ada.wait("the room", `document.querySelector('#title').textContent === 'work' && !document.querySelector('#composer').hidden`)
	owner.send("hello")
	ada.waitMessage("hello")
	n.post("ben", "lobby", "unread")
	ada.wait("the badge", `document.querySelector('#room-list .badge')?.textContent === '1'`)
	ada.do(chromedp.SendKeys("#text", "half a sent"))

	n.call("DELETE", "v1/rooms/work/members/ada", "owner", "", nil)
	ada.wait("the reason", status+` === 'You are no longer a member of this room.' && document.querySelector('#composer').hidden`)
	ada.wait("the room still on the screen", `location.hash === '#room=work' && `+texts+`.includes('hello')
		&& document.querySelector('#leave').hidden && document.querySelector('#room-list .badge').textContent === '1'`)
	if mark := n.mark("ada", "lobby"); mark != 0 {
		t.Errorf("the other room is read up to %d", mark)
	}
	ada.do(chromedp.Reload())
	ada.wait("the question before joining again", `document.querySelector('#ask-text').textContent.includes('work')`)
	ada.do(chromedp.Click("#ask-join"))
	ada.wait("the draft", `document.querySelector('#text').value.trim() === 'half a sent' && !document.querySelector('#composer').hidden`)

	n.call("PUT", "v1/rooms/work/members/ada", "owner", `{"role":"banned"}`, nil)
	ada.wait("the ban", status+` === 'You are banned from this room.' && document.querySelector('#status button').hidden`)
	ada.do(chromedp.Reload(), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	ada.wait("the ban, when joining", status+` === 'You are banned from this room.' && document.querySelector('#composer').hidden`)
}

// A link, or a name mistyped, makes no member and no room before the user has agreed.
func TestRoomsAreJoinedWithConsent(t *testing.T) {
	n := startNode(t)
	owner := enter(t, n, "owner", "#room=work")
	owner.wait("the room", `document.querySelector('#count').textContent === '1'`)
	ada := enter(t, n, "ada", "")
	members := func() int {
		var list struct{ Members []struct{ User string } }
		n.call("GET", "v1/rooms/work/members", "owner", "", &list)
		return len(list.Members)
	}
	eval[bool](ada, `location.hash = 'room=work', true`)
	ada.wait("the question", `!document.querySelector('#ask').hidden && document.querySelector('#ask-text').textContent.includes('“work”')`)
	if got := members(); got != 1 {
		t.Errorf("the room has %d members", got)
	}
	ada.do(chromedp.Click("#ask-cancel"))
	ada.wait("the room before", `document.querySelector('#title').textContent === 'lobby' && location.hash === '#room=lobby'`)
	ada.do(chromedp.SendKeys("#room-name", "lobbby\r"), chromedp.WaitVisible("#ask-join"))
	if got := eval[int](ada, `document.querySelectorAll('#room-list a').length`); got != 1 {
		t.Errorf("%d rooms are listed", got)
	}
	eval[bool](ada, `location.hash = 'room=work', true`)
	ada.wait("the other question", `document.querySelector('#ask-text').textContent.includes('“work”')`)
	ada.do(chromedp.Click("#ask-join"))
	ada.wait("the room", `document.querySelector('#title').textContent === 'work'`)
	ada.do(chromedp.Reload()) // now the user is in it
	ada.wait("the room again", `document.querySelector('#title').textContent === 'work' && document.querySelector('#messages .note')`)
	if got := members(); got != 2 {
		t.Errorf("the room has %d members", got)
	}
}

// Two windows of one browser are two users, if they come in under two names.
func TestTwoWindowsTwoNames(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada", "")
	ctx, cancel := chromedp.NewContext(browser,
		chromedp.WithExistingBrowserContext(chromedp.FromContext(ada.ctx).BrowserContextID), chromedp.WithNewWindow(true))
	defer cancel()
	if err := chromedp.Do(ctx); err != nil { // opens the window
		t.Fatal(err)
	}
	ben := &window{t: t, name: "ben", ctx: ctx}
	ben.do(chromedp.Navigate(n.url()), chromedp.WaitVisible("#name"))
	if name := eval[string](ben, `document.querySelector('#name').value`); name != "ada" {
		t.Errorf("the name offered is %q", name)
	}
	ben.do(chromedp.SetValue("#name", "ben"), chromedp.Click("#signin .main"))
	ben.waitOnline()
	for _, w := range []*window{ada, ben} {
		w.do(chromedp.Reload())
		w.wait("the user", `document.querySelector('#me').textContent === '`+w.name+`' && document.querySelector('#count').textContent === '2'`)
	}
}

// A user with a token on a server without rooms learns what to do, in the page's own words.
func TestTokenUserOnAFreshServer(t *testing.T) {
	n := startNode(t, "--guests", "off")
	w := openWindow(t, "ada")
	w.do(chromedp.Navigate(n.url()), chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", "ada\r"))
	w.wait("why guests stay outside", `document.querySelector('#refused').textContent.startsWith('This server lets in users with a token only')
		&& document.querySelector('#signin details').open`)
	w.do(chromedp.SetValue("#token", n.token("ada")), chromedp.Click("#signin .main"))
	w.wait("what to do", `document.querySelector('#ask-text').textContent.startsWith('You are in no room yet.')
		&& document.querySelector('#ask-join').hidden && document.querySelector('#room-name').placeholder === 'Join a room'`)
	w.do(chromedp.SendKeys("#room-name", "nowhere\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	w.wait("the refusal", status+` === 'This room is by invitation. Ask one of its members to add you.' && document.querySelector('#status button').hidden`)
}

// The session ends while something is being written: the page says so, and the text is
// there after the next sign-in.
func TestDraftSurvivesTheSession(t *testing.T) {
	n := startNode(t, "--guests", "off")
	w := openWindow(t, "ada")
	w.do(chromedp.Navigate(n.url()), chromedp.WaitVisible("#name"), chromedp.Click("#signin summary"),
		chromedp.SetValue("#token", n.token("ada", "lobby")), chromedp.Click("#signin .main"))
	w.do(chromedp.SendKeys("#room-name", "lobby\r"), chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	w.do(chromedp.WaitVisible("#text"), chromedp.SendKeys("#text", "a long letter"))
	key := n.run("key", "add", "back end", "--scope", "users")
	n.call("DELETE", "v1/users/ada/connections", "Bearer "+key, "", nil)
	w.wait("the end of the session", `document.querySelector('#refused').textContent === 'An administrator has ended your session.'`)
	w.do(chromedp.SetValue("#token", n.token("ada", "lobby")), chromedp.Click("#signin .main"))
	w.wait("the draft", `document.querySelector('#text').value === 'a long letter'`)
}

// A user who was banned while away comes back to the page, which remembers the room: it
// asks for the room once, says why it is not shown, and remembers it no more.
func TestRememberedRoomAfterABan(t *testing.T) {
	n := startNode(t)
	enter(t, n, "owner", "#room=work")
	ada := openWindow(t, "ada")
	ada.beforeEachPage(`
		window.joins = [];
		const send = WebSocket.prototype.send;
		WebSocket.prototype.send = function (data) {
			const f = JSON.parse(data);
			if (f.type === 'join') window.joins.push(f.room);
			return send.call(this, data);
		};`)
	ada.enter(n, "#room=work")
	ada.wait("the room", `document.querySelector('#title').textContent === 'work' && document.querySelector('#count').textContent === '2'`)
	ada.do(chromedp.Navigate("about:blank"))
	n.call("PUT", "v1/rooms/work/members/ada", "owner", `{"role":"banned"}`, nil)

	ada.do(chromedp.Navigate(n.url()))
	ada.wait("the ban", status+` === 'You are banned from this room.' && document.querySelector('#status button').hidden
		&& document.querySelector('#composer').hidden && document.querySelector('#title').textContent === 'work'`)
	n.post("ben", "lobby", "later")
	if asked := eval[string](ada, `joins.filter((room) => room === 'work').join()`); asked != "work" {
		t.Errorf("joined %q", asked)
	}
	ada.do(chromedp.Navigate(n.url()))
	ada.wait("another room", `document.querySelector('#title').textContent === 'lobby' && document.querySelector('#status').hidden`)
	ada.waitMessage("later")
	if asked := eval[bool](ada, `joins.includes('work')`); asked {
		t.Error("the room is asked for again")
	}
}
