package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
)

// shownNotifications are what the service worker of the page shows.
const shownNotifications = `(async () => (await (await navigator.serviceWorker.ready).getNotifications())
	.map((n) => [n.title, n.body, n.tag, n.data.room ?? ''].join('|')).sort())()`

// pushTo delivers a push to the service worker of the page, as a push service does.
func (w *window) pushTo(n *node, id serviceworker.RegistrationID, data string) {
	w.t.Helper()
	p := serviceworker.DeliverPushMessageParams{Origin: strings.TrimSuffix(n.url(), "/"), RegistrationID: id, Data: data}
	if _, err := chromedp.Call(w.ctx, serviceworker.DeliverPushMessage, p); err != nil {
		w.t.Fatal(err)
	}
}

// The service worker shows what is pushed, one notification for each room, and closes what
// was read elsewhere; the page closes what is read in it, and opens the room of one that
// is clicked.
func TestPushNotifications(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	ada := enter(t, n, "ada", "")
	allowed := cdpbrowser.SetPermissionParams{
		Permission: &cdpbrowser.PermissionDescriptor{Name: "notifications"}, Setting: cdpbrowser.PermissionSettingGranted,
		BrowserContextID: chromedp.FromContext(ada.ctx).BrowserContextID,
	}
	if _, err := chromedp.CallBrowser(ada.ctx, cdpbrowser.SetPermission, allowed); err != nil {
		t.Fatal(err)
	}
	registered := make(chan serviceworker.RegistrationID, 16)
	err := chromedp.Listen(ada.ctx, func(ev any) {
		if e, ok := ev.(*serviceworker.EventWorkerRegistrationUpdated); ok {
			for _, r := range e.Registrations {
				select {
				case registered <- r.RegistrationID:
				default:
				}
			}
		}
	})
	if err == nil {
		_, err = chromedp.Call(ada.ctx, serviceworker.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if !eval[bool](ada, `navigator.serviceWorker.register('worker.js').then(() => navigator.serviceWorker.ready).then((r) => r.scope === location.origin + '/')`) {
		t.Error("the worker is not for the whole page")
	}
	id := <-registered
	// A browser without a screen now and then forgets what it shows: then everything is
	// pushed again, which changes nothing else.
	var pushed []string
	show := func(what string, pushes []string, want ...string) {
		t.Helper()
		pushed = append(pushed, pushes...)
		again := pushes
		for end := time.Now().Add(patience); time.Now().Before(end); again = pushed {
			for _, data := range again {
				ada.pushTo(n, id, data)
			}
			for soon := time.Now().Add(5 * time.Second); time.Now().Before(soon); time.Sleep(20 * time.Millisecond) {
				if slices.Equal(eval[[]string](ada, shownNotifications), want) {
					return
				}
			}
		}
		t.Errorf("%s: %q, want %q", what, eval[[]string](ada, shownNotifications), want)
	}
	show("the first notification", []string{
		`{"id":"1","title":"General","body":"ben: one","tag":"a","badge":1,"data":{"room":"general","seq":"1"}}`,
	}, "General|ben: one|a|general")
	show("one of each room", []string{
		`{"id":"2","title":"General","body":"ben: two","tag":"a","badge":2,"data":{"room":"general","seq":"2"}}`,
		`{"id":"3","title":"ben","body":"hello","tag":"b","badge":3,"data":{"room":"dm","seq":"7"}}`,
	}, "General|ben: two|a|general", "ben|hello|b|dm")
	show("what was not read", []string{
		`{"id":"4","badge":2,"data":{"room":"dm","read":"6"}}`, `{"id":"5","badge":1,"data":{"room":"general","read":"2"}}`,
	}, "ben|hello|b|dm")

	n.post("ben", "other", "hello there")
	if got := inWorker[string](ada, fmt.Sprintf(clicked, "other", true)); got != "focused / of 1, closed" {
		t.Errorf("a click with a page that is open: %s", got)
	}
	ada.wait("the room of the notification", `location.hash === '#room=other'`)
	if got := inWorker[string](ada, fmt.Sprintf(clicked, "a b", false)); got != "opened /#room=a+b, closed" {
		t.Errorf("a click without a page: %s", got)
	}
}

// clicked clicks a notification of a room, and says which window the worker focuses or opens,
// which browsers allow after a click of a user alone.
const clicked = `(async (room, open) => {
	const did = [];
	const pages = await clients.matchAll({ type: 'window' });
	WindowClient.prototype.focus = async function () { did.push('focused ' + new URL(this.url).pathname + ' of ' + pages.length); };
	Clients.prototype.openWindow = async (url) => { did.push('opened ' + url.slice(location.origin.length)); };
	const all = Clients.prototype.matchAll;
	if (!open) Clients.prototype.matchAll = async () => [];
	await registration.showNotification('General', { tag: 'click', data: { room } });
	const [notification] = await registration.getNotifications({ tag: 'click' });
	const close = notification.close.bind(notification);
	notification.close = () => { did.push('closed'); close(); };
	const e = new NotificationEvent('notificationclick', { notification });
	let done;
	e.waitUntil = (p) => { done = p; }; // that of a browser's own event
	dispatchEvent(e);
	await done;
	Clients.prototype.matchAll = all;
	return did.sort().reverse().join(', ');
})(%q, %t)`
