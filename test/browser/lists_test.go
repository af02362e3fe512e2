package browser

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// hostKey is a key of the host's back end.
func (n *node) hostKey() string { return "Bearer " + n.run("key", "add", "host", "--scope", "*") }

// enterWithToken opens the page in a new window and signs in with a token.
func enterWithToken(t *testing.T, n *node, user string) *window {
	t.Helper()
	w := openWindow(t, user)
	w.do(chromedp.Navigate(n.url()), chromedp.WaitVisible("#name"), chromedp.Click("#signin summary"),
		chromedp.SetValue("#token", n.token(user)), chromedp.Click("#signin .main"))
	return w
}

// Of a large room the server tells a part of the members: the names and pictures of
// others are shown all the same, beside messages and in the list of users.
func TestProfilesInALargeRoom(t *testing.T) {
	n := startNode(t)
	key := n.hostKey()
	n.call("PUT", "v1/rooms/lobby", key, `{"open":true}`, nil)
	for i := range 120 {
		n.call("PUT", fmt.Sprintf("v1/rooms/lobby/members/m%03d", i), key, `{"role":"member"}`, nil)
	}
	n.call("PUT", "v1/users/zoe", key, `{"name":"Zoe Zebra","avatar":"/static/icon.svg"}`, nil)
	n.call("PUT", "v1/rooms/lobby/members/zoe", key, `{"role":"member"}`, nil)
	n.call("POST", "v1/rooms/lobby/messages", key, `{"user":"zoe","message":"from zoe"}`, nil)
	n.call("POST", "v1/rooms/lobby/messages", key, `{"user":"m119","message":"from m119"}`, nil)
	enterWithToken(t, n, "zoe").waitOnline()

	ada := enter(t, n, "ada", "")
	ada.waitMessage("from m119")
	badge := func(user string) string {
		return `[...document.querySelectorAll('.message')].find((m) => m.innerText.includes('from ` + user + `')).querySelector('.avatar')`
	}
	ada.wait("the picture", badge("zoe")+`.querySelector('img').naturalWidth > 0`)
	ada.wait("the letter of a user without a picture", badge("m119")+`.textContent === 'M' && !`+badge("m119")+`.querySelector('img')`)
	ada.wait("the user in the list", `[...document.querySelectorAll('#people-list li')].some((li) => li.innerText.includes('Zoe Zebra') && li.querySelector('img').naturalWidth > 0)`)
}

// The room with the newest message is the first in the list, and the one that is shown is
// in sight there, also after a reload.
func TestOrderOfRooms(t *testing.T) {
	n := startNode(t)
	key := n.hostKey()
	const rooms = 40
	for i := range rooms {
		room := fmt.Sprintf("room%d", i)
		n.call("PUT", "v1/rooms/"+room, key, `{"open":true}`, nil)
		n.call("PUT", "v1/rooms/"+room+"/members/ada", key, `{"role":"member"}`, nil)
		n.call("POST", "v1/rooms/"+room+"/messages", key, `{"user":"ben","message":"hello"}`, nil)
	}
	ada := enterWithToken(t, n, "ada")
	listed := `[...document.querySelectorAll('#room-list b')].map((b) => b.textContent)`
	ada.wait("the rooms", listed+`.length === 40`)
	for i, room := range eval[[]string](ada, listed) {
		if want := fmt.Sprintf("room%d", rooms-1-i); room != want {
			t.Fatalf("room %d of the list is %s, want %s", i, room, want)
		}
	}
	n.call("POST", "v1/rooms/room20/messages", key, `{"user":"ben","message":"news"}`, nil)
	ada.wait("the room with news first", listed+`[0] === 'room20'`)

	inSight := `(() => {
		const box = document.querySelector('#room-list').getBoundingClientRect();
		const row = document.querySelector('#room-list [aria-current]').getBoundingClientRect();
		return row.top >= Math.max(box.top, 0) - 1 && row.bottom <= Math.min(box.bottom, innerHeight) + 1;
	})()`
	for _, room := range []string{"room0", "room20", "room3"} {
		eval[bool](ada, `location.hash = 'room=`+room+`', true`)
		ada.wait(room+" in sight", `document.querySelector('#title').textContent === '`+room+`' && `+inSight)
	}
	ada.do(chromedp.Reload())
	ada.wait("the room in sight after the reload", listed+`.length === 40 && document.querySelector('#title').textContent === 'room3' && `+inSight)
}

// Users are listed as people count, and those with like names have colours of their own.
func TestUsersAreSortedAndToldApart(t *testing.T) {
	n := startNode(t)
	ada := enter(t, n, "ada 1", "")
	for _, name := range []string{"ada 10", "ada 2"} {
		enter(t, n, name, "")
	}
	names := `[...document.querySelectorAll('#people-list bdi')].map((b) => b.textContent).join()`
	ada.wait("the order", names+` === 'ada 1,ada 2,ada 10'`)
	// How far apart the hues of 20 names are that differ in a number, of 360 degrees.
	hues := eval[[]int](ada, `import('/static/dom.js').then(({ avatar }) =>
		[...Array(20).keys()].map((i) => Number(avatar('Sender ' + i, 'S').style.getPropertyValue('--hue'))))`)
	sectors := map[int]bool{}
	for _, hue := range hues {
		sectors[hue/30] = true
	}
	slices.Sort(hues)
	if alike := len(hues) - len(slices.Compact(slices.Clone(hues))); len(sectors) < 8 || alike > 2 {
		t.Errorf("20 users have hues in %d of 12 sectors, %d the same: %v", len(sectors), alike, hues)
	}
}

// The toolbar of a message covers no other one. Under a finger it has its own line, its
// buttons are as large as one, and it goes when something is written.
func TestToolbarOfAMessage(t *testing.T) {
	n := startNode(t)
	for _, text := range []string{"above", "first", "second"} {
		n.post("ben", "lobby", text)
	}
	n.call("PUT", "v1/rooms/lobby/messages/2/reactions/%F0%9F%8E%89", "ben", "", nil)
	for _, touch := range []bool{false, true} {
		ada := openWindow(t, "ada")
		if touch {
			ada.do(chromedp.EmulateViewport(360, 640, chromedp.EmulateMobile, chromedp.EmulateTouch))
		}
		ada.enter(n, "")
		ada.waitMessage("second")
		if coarse := eval[bool](ada, `matchMedia('(pointer: coarse)').matches`); coarse != touch {
			t.Fatalf("the pointer is coarse: %v", coarse)
		}
		row := `[...document.querySelectorAll('.message')].find((m) => m.innerText.includes('second'))`
		if touch {
			eval[bool](ada, row+`.click(), true`)
		} else {
			ada.hover("second")
		}
		ada.wait("the toolbar", row+`.querySelector('.actions button')`)
		covers := eval[[]string](ada, `(() => {
			const bar = document.querySelector('.actions').getBoundingClientRect();
			const under = (r) => r.left < bar.right - 1 && r.right > bar.left + 1 && r.top < bar.bottom - 1 && r.bottom > bar.top + 1;
			const all = [...document.querySelectorAll('.message')].flatMap((m) => [...m.querySelectorAll('.bubble > p, .reaction')]);
			return all.filter((p) => (`+fmt.Sprint(touch)+` || p.closest('.message') !== `+row+`) && under(p.getBoundingClientRect())).map((p) => p.textContent);
		})()`)
		if len(covers) > 0 {
			t.Errorf("touch %v: the toolbar covers %q", touch, covers)
		}
		if !touch {
			continue
		}
		small := eval[[]string](ada, `[...document.querySelectorAll('.actions button, .reaction')].map((b) => [b, b.getBoundingClientRect()])
			.filter(([b, r]) => r.width < (b.className === 'reaction' ? 48 : 44) || r.height < (b.className === 'reaction' ? 36 : 44) || r.right > innerWidth)
			.map(([b, r]) => b.textContent + ' ' + r.width + ' x ' + r.height)`)
		if len(small) > 0 || !eval[bool](ada, `!!document.querySelector('.reaction')`) {
			t.Errorf("too small for a finger: %q", small)
		}
		ada.do(chromedp.Focus("#text"))
		ada.wait("no toolbar while something is written", `!document.querySelector('.actions')`)
	}
}
