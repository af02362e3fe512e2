package browser

import (
	_ "embed"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var (
	//go:embed testdata/fake.js
	fakeScript string
	//go:embed testdata/client.js
	clientScript string
	//go:embed testdata/races.js
	racesScript string
	//go:embed testdata/session.js
	sessionScript string
)

// The client of the page against a scripted server, for what a real server does not do
// on demand.
func TestProtocolClient(t *testing.T) {
	n := startNode(t)
	for name, script := range map[string]string{"frames": clientScript, "sessions": sessionScript, "races": racesScript} {
		t.Run(name, func(t *testing.T) {
			w := openWindow(t, "client")
			w.do(chromedp.Navigate(n.url()))
			run := "(async () => {" + fakeScript + "try {" + script + "} catch (e) { wrong.push(String(e.stack ?? e)); } globalThis.WebSocket = real; return wrong; })()"
			for _, line := range eval[[]string](w, run) {
				t.Error(line)
			}
		})
	}
}

// A browser that keeps nothing for the site: the page and the client work without.
func TestStorageIsBlocked(t *testing.T) {
	n := startNode(t)
	w := openWindow(t, "ada")
	blocked := `for (const name of ['localStorage', 'sessionStorage']) {
		Object.defineProperty(window, name, { get() { throw new DOMException('blocked', 'SecurityError'); } });
	}`
	w.beforeEachPage(blocked)
	w.enter(n, "")
	w.send("nothing is kept")
	w.wait("the message, confirmed", texts+`.includes('nothing is kept') && !document.querySelector('.pending')`)
}

// The types name what the client has, no more and no less.
func TestTypesFitTheClient(t *testing.T) {
	types, err := os.ReadFile("../../web/static/roomtide.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t)
	w := openWindow(t, "types")
	w.do(chromedp.Navigate(n.url()))
	for class, make := range map[string]string{
		"Roomtide": `new (await import('/static/roomtide.js')).Roomtide({ user: 'ada' })`,
		"Room":     `new (await import('/static/room.js')).Room('r')`,
	} {
		has := eval[[]string](w, `(async () => {
			const names = new Set();
			for (let o = `+make+`; o.constructor !== Object && o.constructor !== EventTarget; o = Object.getPrototypeOf(o)) {
				for (const name of Object.getOwnPropertyNames(o)) names.add(name);
			}
			return [...names];
		})()`)
		_, body, _ := strings.Cut(string(types), "export class "+class+" ")
		body, _, _ = strings.Cut(body, "\n}\n")
		var declared []string
		for _, m := range regexp.MustCompile(`(?m)^  (?:readonly |get )?(\w+)\??[:(]`).FindAllStringSubmatch(body, -1) {
			declared = append(declared, m[1])
		}
		// Called by the connection and between the two classes.
		internal := strings.Fields(`constructor prepare renew greet hear away welcome turnedAway summarize catchUp put prepend append jump
			trim apply marked on_message on_edited on_deleted on_reacted on_member on_room on_presence on_typing on_read`)
		for _, name := range has {
			if !slices.Contains(declared, name) && !slices.Contains(internal, name) {
				t.Errorf("%s.%s has no type", class, name)
			}
		}
		for _, name := range declared {
			if !slices.Contains(has, name) && name != "addEventListener" {
				t.Errorf("%s.%s is a type without anything", class, name)
			}
		}
	}
}
