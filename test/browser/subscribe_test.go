package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/target"
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

// device is one of a user, as the server has it.
type device struct {
	Device, Provider string
	Registered       string // when its address was new
}

func (n *node) devices(key, user string) []device {
	n.t.Helper()
	var list struct{ Devices []device }
	n.call("GET", "v1/users/"+user+"/devices", key, "", &list)
	return list.Devices
}

// waitDevice returns the only device of a user, once the server has one whose address is not that of was.
func (n *node) waitDevice(w *window, key string, was device) device {
	n.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		all := n.devices(key, w.name)
		if len(all) == 1 && all[0].Provider == "webpush" && all[0].Registered != was.Registered {
			return all[0]
		}
		if time.Now().After(end) {
			n.t.Fatalf("the server has %v, and had %v; the page says %q", all, was, w.text("#notice"))
		}
	}
}

// inWorker evaluates a script in the service worker of the page.
func inWorker[T any](w *window, script string) T {
	w.t.Helper()
	origin := eval[string](w, `location.origin`)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		eval[bool](w, `navigator.serviceWorker.ready.then((r) => { r.active.postMessage({}); return true; })`) // one that sleeps has no target
		all, err := chromedp.Targets(w.ctx)
		if err != nil || time.Now().After(end) {
			w.t.Fatalf("no service worker among %v: %v", all, err)
		}
		i := slices.IndexFunc(all, func(i *target.Info) bool { return i.Type == "service_worker" && strings.HasPrefix(i.URL, origin) })
		if i < 0 {
			continue
		}
		ctx, cancel := chromedp.NewContext(w.ctx, chromedp.WithTargetID(all[i].TargetID))
		defer cancel()
		v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
		if err != nil {
			w.t.Fatalf("in the worker: %s: %v", script, err)
		}
		return v
	}
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

	subscription := func(what string, count int) {
		t.Helper()
		ada.wait(what, fmt.Sprintf(`new Set(registered).size === %d && registered.at(-1).startsWith('https://')`, count))
	}
	subscription("the first subscription", 1)
	first := n.waitDevice(ada, key, device{})
	if !eval[bool](ada, `asked.length === 1 && asked.every((clicked) => clicked)`) {
		t.Errorf("the permission was asked for: %v", eval[[]bool](ada, `asked`))
	}
	ada.send("two")
	ada.waitMessage("two")
	if !eval[bool](ada, hidden) {
		t.Error("the page offers what is there")
	}

	// The browser ends the subscription, as it does now and then, and says so to the worker alone.
	inWorker[bool](ada, `(async () => {
		const oldSubscription = await registration.pushManager.getSubscription();
		await oldSubscription.unsubscribe();
		const e = new PushSubscriptionChangeEvent('pushsubscriptionchange', { oldSubscription });
		let done;
		e.waitUntil = (p) => { done = p; }; // that of a browser's own event
		dispatchEvent(e);
		await done;
		return true;
	})()`)
	subscription("the second subscription", 2)
	if second := n.waitDevice(ada, key, first); second.Device != first.Device {
		t.Errorf("the new subscription is of the device %s, not %s", second.Device, first.Device)
	}
}

// Where subscribing fails the user is told, and is offered it again with the next message.
func TestSubscribingFails(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	key, g := n.hostKey(), startGCM(t)
	g.refuse(true)
	ada := windowIn(t, "ada", g.chromium(t))
	ada.permit(cdpbrowser.PermissionSettingGranted)
	ada.enter(n, "#room=general")
	offer := func(text string) {
		t.Helper()
		ada.send(text)
		ada.wait("the offer", `!document.querySelector('#ask-push').hidden`)
		ada.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#notice').hidden = true`), chromedp.Click("#ask-push button.quiet"))
	}
	for _, text := range []string{"one", "two"} {
		offer(text)
		ada.wait("that it failed", `document.querySelector('#notice:not([hidden])')?.textContent === 'Notifications could not be turned on.'`)
	}
	if got := n.devices(key, "ada"); len(got) != 0 {
		t.Errorf("devices %v without a subscription", got)
	}
	g.refuse(false)
	offer("three")
	if d := n.waitDevice(ada, key, device{}); d.Device != eval[string](ada, `localStorage.getItem('roomtide.device')`) {
		t.Errorf("the page does not know its device %s", d.Device)
	}
}

// Whatever fails or happens at once, the server has the device that the page knows, and no other.
func TestPageAndServerAgreeOnTheDevice(t *testing.T) {
	n := startNode(t, "--push-webpush-subject", "mailto:push@example.org")
	ada := windowIn(t, "ada", startGCM(t).chromium(t))
	ada.permit(cdpbrowser.PermissionSettingGranted)
	ada.enter(n, "#room=general")
	for name, steps := range map[string]string{
		"turned off and on":          `await push.on(); await push.off(); await push.on();`,
		"turned on twice":            `await Promise.all([push.on(), push.on()]);`,
		"a connection comes back":    `chat.refuses = 1; const on = push.on(); back(); await failed(on); await push.on();`,
		"a failure beside a success": `chat.refuses = 1; await Promise.allSettled([push.on(), push.on()]);`,
		"without a connection":       `chat.refuses = 1; await failed(push.on()); back(); await push.on();`,
		"turned off meanwhile":       `await push.on(); await push.off(); chat.held = hold(); const on = push.on(); await chat.held.reached; await push.off(); chat.held.release(); await on;`,
	} {
		t.Run(name, func(t *testing.T) {
			ada.t = t
			if got := eval[string](ada, fmt.Sprintf(devicesAfter, steps)); got != "" {
				t.Error(got)
			}
		})
	}
}

// devicesAfter does steps with a chat that is a server of devices, and says what is wrong in the end.
const devicesAfter = `(async () => {
	const { Push } = await import('/static/push.js');
	const key = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
	const raw = new Uint8Array(await crypto.subtle.exportKey('raw', key.publicKey));
	const hold = () => {
		const h = {};
		h.reached = new Promise((reached) => { h.reach = reached; });
		h.released = new Promise((release) => { h.release = release; });
		return h;
	};
	const chat = Object.assign(new EventTarget(), {
		state: 'online', refuses: 0, held: null, devices: new Map(),
		webPushKey: btoa(String.fromCharCode(...raw)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
		async request(type, { device, address }) {
			if (type === 'drop_device') return void this.devices.delete(device);
			if (this.held) {
				this.held.reach();
				await this.held.released;
			}
			if (this.refuses-- > 0) throw new Error('refused');
			for (const [d, a] of this.devices) if (a === address.endpoint) this.devices.delete(d);
			this.devices.set(device, address.endpoint);
		},
		insist(type, fields) { return this.request(type, fields); },
	});
	const back = () => chat.dispatchEvent(new Event('state'));
	const failed = (p) => p.then(() => { throw new Error('it has not failed'); }, () => {});
	localStorage.removeItem('roomtide.device');
	const push = new Push(chat, 'worker.js');
	try {
		%s
		const has = [...chat.devices.keys()].join(), knows = localStorage.getItem('roomtide.device') ?? '';
		if (has !== knows) return 'the server has ' + has + ', the page knows ' + knows;
		await push.off();
		return chat.devices.size ? 'the server has a device of a user who has signed out' : '';
	} finally {
		localStorage.removeItem('roomtide.device');
	}
})()`

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
