package browser

import (
	"fmt"
	"slices"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// asking notes when the page asks for the permission, and whether the user had just clicked.
const asking = `globalThis.asked = [];
	const request = Notification.requestPermission.bind(Notification);
	Notification.requestPermission = () => { asked.push(navigator.userActivation.isActive); return request(); };`

// registering notes the endpoints that the page registers.
const registering = `globalThis.registered = [];
	const send = WebSocket.prototype.send;
	WebSocket.prototype.send = function (text) {
		const frame = JSON.parse(text);
		if (frame.type === 'register_device') registered.push(frame.address.endpoint);
		send.call(this, text);
	};`

func (w *window) permit(setting cdpbrowser.PermissionSetting) {
	w.t.Helper()
	p := cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: "notifications"}, Setting: setting}
	if _, err := chromedp.CallBrowser(w.ctx, cdpbrowser.SetPermission, p); err != nil {
		w.t.Fatal(err)
	}
}

// devices are those of the user, as the server has them.
func (n *node) devices(key, user string) (all []string) {
	n.t.Helper()
	var list struct{ Devices []struct{ Provider string } }
	n.call("GET", "v1/users/"+user+"/devices", key, "", &list)
	for _, d := range list.Devices {
		all = append(all, d.Provider)
	}
	return all
}

// The page offers notifications when the user has written something, and asks for the
// permission when that is clicked. The browser subscribes with the key of the server, and the server
// has the subscription as a device; another one when the browser has changed it.
func TestSubscribing(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	key := n.hostKey()
	ada := windowIn(t, "ada", startGCM(t).chromium(t))
	ada.permit(cdpbrowser.PermissionSettingPrompt) // a browser without a screen refuses of its own
	ada.beforeEachPage(asking)
	ada.beforeEachPage(registering)
	ada.enter(n, "#room=general")
	hidden := `document.querySelector('#ask-push').hidden`
	if !eval[bool](ada, hidden+` && asked.length === 0`) {
		t.Error("the page asks before the user has done anything")
	}
	ada.permit(cdpbrowser.PermissionSettingGranted)

	ada.send("one")
	ada.wait("the offer", "!"+hidden)
	ada.do(chromedp.Click("#ask-push button.quiet"))

	device := func(what string, count int) {
		t.Helper()
		ada.wait(what, fmt.Sprintf(`new Set(registered).size === %d && registered.at(-1).startsWith('https://')`, count))
		for end := time.Now().Add(patience); !slices.Equal(n.devices(key, "ada"), []string{"webpush"}); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the server has %q; the page says %q", what, n.devices(key, "ada"), ada.text("#notice"))
			}
		}
	}
	device("the first subscription", 1)
	if !eval[bool](ada, `asked.length === 1 && asked.every((clicked) => clicked)`) {
		t.Errorf("the permission was asked for: %v", eval[[]bool](ada, `asked`))
	}
	ada.send("two")
	ada.waitMessage("two")
	if !eval[bool](ada, hidden) {
		t.Error("the page offers what is there")
	}

	// The worker tells the page when the browser has changed the subscription.
	eval[bool](ada, `navigator.serviceWorker.ready.then((r) => r.pushManager.getSubscription()).then((s) => s.unsubscribe())`)
	ada.do(chromedp.Evaluate[chromedp.Void](`navigator.serviceWorker.dispatchEvent(new MessageEvent('message', { data: { type: 'subscription' } }))`))
	device("the second subscription", 2)
}

// Where subscribing fails the user is told, and is offered it again with the next message.
func TestSubscribingFails(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	key, g := n.hostKey(), startGCM(t)
	g.refuse()
	ada := windowIn(t, "ada", g.chromium(t))
	ada.permit(cdpbrowser.PermissionSettingGranted)
	ada.enter(n, "#room=general")
	for _, text := range []string{"one", "two"} {
		ada.send(text)
		ada.wait("the offer", `!document.querySelector('#ask-push').hidden`)
		ada.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#notice').hidden = true`), chromedp.Click("#ask-push button.quiet"))
		ada.wait("that it failed", `document.querySelector('#notice:not([hidden])')?.textContent === 'Notifications could not be turned on.'`)
	}
	if got := n.devices(key, "ada"); len(got) != 0 {
		t.Errorf("devices %q without a subscription", got)
	}
}

// A user who refuses the permission is not asked again.
func TestRefusingNotifications(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	ada := windowIn(t, "ada", startGCM(t).chromium(t))
	ada.permit(cdpbrowser.PermissionSettingPrompt) // a browser without a screen refuses of its own
	ada.beforeEachPage(asking)
	ada.enter(n, "#room=general")
	ada.send("one")
	ada.wait("the offer", `!document.querySelector('#ask-push').hidden`)
	ada.permit(cdpbrowser.PermissionSettingDenied)
	ada.do(chromedp.Click("#ask-push button.quiet"))
	ada.wait("the answer", `asked.length === 1 && localStorage.getItem('roomtide.device') === 'no'`)
	ada.send("two")
	ada.waitMessage("two")
	if !eval[bool](ada, `document.querySelector('#ask-push').hidden && asked.length === 1`) {
		t.Error("the page asks again")
	}
}
