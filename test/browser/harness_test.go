// Package browser tests the web page from the outside: the real program as a process
// of its own, and a real Chromium with one window per user.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// patience bounds every single wait. It is long because machines can be slow; a
// passing test does not wait for it.
const patience = 30 * time.Second

// Set by TestMain, once.
var (
	program string          // the roomtide binary
	browser context.Context // a running Chromium without a window of a test
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser tests cannot run:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	chromium, err := testprocess.Chromium()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "roomtide-browser")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "roomtide")
	build := exec.Command("go", "build", "-o", program, "github.com/roomtide/roomtide/cmd/roomtide")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options(chromium)...)
	defer cancel()
	browser, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(browser); err != nil {
		return 0, fmt.Errorf("starting %s: %w", chromium, err)
	}
	return m.Run(), nil
}

// options start a browser. Without UserDataDir each start has a fresh profile of its own.
func options(chromium string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-US"),
	)
}

// node is one roomtide process that can be killed and started again with the
// same data and address.
type node struct {
	t    testing.TB
	addr string
	dir  string
	args []string // flags besides those that every node has
	cmd  *exec.Cmd
	log  strings.Builder // of the process that ran last; read it after kill
}

func startNode(t testing.TB, args ...string) *node {
	t.Helper()
	n := &node{t: t, addr: testprocess.FreeAddr(t), dir: t.TempDir(), args: args}
	n.start()
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("the server wrote:\n%s", n.log.String())
		}
	})
	return n
}

func (n *node) url() string { return "http://" + n.addr + "/" }

// start returns when the node has printed on standard output that it listens.
func (n *node) start() {
	n.t.Helper()
	n.log.Reset()
	n.cmd = exec.Command(program, append([]string{"serve", "--listen", n.addr, "--data-dir", n.dir, "--no-rate-limits"}, n.args...)...)
	n.cmd.Stderr = &n.log
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), n.url()) {
			return
		}
	}
	n.t.Fatalf("the server ended before it listened: %v\n%s", n.cmd.Wait(), n.log.String())
}

// kill ends the process with SIGKILL.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	n.cmd.Process.Kill()
	n.cmd.Wait() // the error is that it was killed
	n.cmd = nil
}

// run runs a verb of the program on the node's data and returns what it prints.
func (n *node) run(args ...string) string {
	n.t.Helper()
	out, err := exec.CommandContext(n.t.Context(), program, append(args, "--data-dir", n.dir)...).Output()
	if err != nil {
		n.t.Fatalf("%v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// token is a token of a user for rooms.
func (n *node) token(user string, rooms ...string) string {
	n.t.Helper()
	args := []string{"token", "--user", user}
	for _, room := range rooms {
		args = append(args, "--room", room)
	}
	return n.run(args...)
}

// post sends a message over HTTP.
func (n *node) post(user, room, text string) {
	n.t.Helper()
	n.call("POST", "v1/rooms/"+room+"/messages", user, `{"message":`+strconv.Quote(text)+`}`, nil)
}

// texts are the messages of the lobby, in order.
func (n *node) texts(t testing.TB) (texts []string) {
	t.Helper()
	for last := 0; ; {
		var page struct {
			Messages []struct {
				Seq     int
				Message string
			}
			More bool
		}
		n.call("GET", fmt.Sprintf("v1/rooms/lobby/messages?limit=100&after=%d", last), "ben", "", &page)
		for _, m := range page.Messages {
			texts, last = append(texts, m.Message), m.Seq
		}
		if !page.More {
			return texts
		}
	}
}

// call makes an HTTP request, as a guest or with "Bearer " and a key, and decodes the
// answer, if it is wanted.
func (n *node) call(method, path, user, body string, answer any) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.url()+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if strings.HasPrefix(user, "Bearer ") {
		req.Header.Set("Authorization", user)
	} else {
		req.Header.Set("Roomtide-User", user)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		n.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	if answer != nil {
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
			n.t.Fatal(err)
		}
	}
}

// window is one user's browser window, with storage of its own.
type window struct {
	t    testing.TB
	name string
	ctx  context.Context
}

// openWindow opens a window that fails the test if its page throws an
// exception or breaks its own content security policy.
func openWindow(t testing.TB, name string) *window {
	t.Helper()
	return windowIn(t, name, browser, chromedp.WithNewBrowserContext())
}

// windowIn is openWindow in a browser, or with an allocator, which starts one.
func windowIn(t testing.TB, name string, parent context.Context, o ...chromedp.ContextOption) *window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, o...)
	w := &window{t: t, name: name, ctx: ctx}
	console := chromedp.Console(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.IsException() || strings.Contains(m.Text, "Content Security Policy") {
				t.Errorf("%s: the page reports: %v", name, m)
			}
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			w.screenshot()
		}
		cancel()
		watching.Wait()
	})
	w.do(chromedp.EmulateViewport(1200, 800))
	return w
}

// enter opens the page in a new window and signs in as a guest.
func enter(t testing.TB, n *node, name, hash string) *window {
	t.Helper()
	w := openWindow(t, name)
	w.enter(n, hash)
	return w
}

func (w *window) enter(n *node, hash string) {
	w.t.Helper()
	w.do(chromedp.Navigate(n.url()+hash), chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", w.name+"\r"))
	if hash != "" { // a room that the user is not in yet
		w.do(chromedp.WaitVisible("#ask-join"), chromedp.Click("#ask-join"))
	}
	w.waitOnline()
}

// beforeEachPage runs a script in every page that the window opens, before its own.
func (w *window) beforeEachPage(script string) {
	w.t.Helper()
	if _, err := chromedp.Call(w.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatalf("%s: %v", w.name, err)
	}
}

// wait waits until the JavaScript condition holds in the page.
func (w *window) wait(what, condition string) {
	w.t.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d;
		const look = () => {
			let ok = false;
			try { ok = !!(%s); } catch {}
			if (ok || Date.now() > end) done(ok); else setTimeout(look, 20);
		};
		look();
	})`, patience.Milliseconds(), condition)
	ctx, cancel := context.WithTimeout(w.ctx, 2*patience)
	defer cancel()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
	for err != nil && ctx.Err() == nil { // a navigation ended the script
		ok, err = chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
	}
	if err != nil || !ok {
		w.t.Fatalf("%s: no %s (%v); the page shows:\n%s", w.name, what, err, w.text("body"))
	}
}

func (w *window) waitOnline() {
	w.t.Helper()
	w.wait("being online", `document.querySelector('#chat').dataset.state === 'online' && document.querySelector('#messages .note')`)
}

func (w *window) waitMessage(text string) {
	w.t.Helper()
	w.wait("message "+text, texts+`.includes(`+strconv.Quote(text)+`)`)
}

// texts are the messages on the page, in order.
const texts = `[...document.querySelectorAll('.message .bubble > p')].map((p) => p.textContent)`

func eval[T any](w *window, script string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: %s: %v", w.name, script, err)
	}
	return v
}

func (w *window) messages() []string {
	w.t.Helper()
	return eval[[]string](w, texts)
}

func (w *window) text(selector string) string {
	w.t.Helper()
	return eval[string](w, `document.querySelector('`+selector+`')?.innerText ?? ''`)
}

// send types a message and presses Enter.
func (w *window) send(text string) {
	w.t.Helper()
	w.do(chromedp.SendKeys("#text", text+"\r"))
}

// hover moves the mouse to the message with the text until its toolbar is there: a
// message that arrives meanwhile can move the others.
func (w *window) hover(text string) {
	w.t.Helper()
	message := fmt.Sprintf(`[...document.querySelectorAll('.message .bubble > p')].find((p) => p.textContent === %q)`, text)
	place := `(() => { const r = ` + message + `.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`
	toolbar := `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
		done(document.querySelector('.actions')?.parentNode === ` + message + `.closest('.message')))))`
	for end := time.Now().Add(patience); ; {
		at := eval[[]float64](w, place)
		w.do(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
		if eval[bool](w, toolbar) {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s: no toolbar at %q; the page shows:\n%s", w.name, text, w.text("body"))
		}
	}
}

// press clicks a button of the toolbar.
func (w *window) press(button string) {
	w.t.Helper()
	w.do(chromedp.Click(`.actions [aria-label="` + button + `"]`))
}

// screenshot writes what the window shows to the directory BROWSER_SCREENSHOTS, if it
// is set.
func (w *window) screenshot() {
	dir := os.Getenv("BROWSER_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Logf("%s: no screenshot: %v", w.name, err)
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(w.t.Name(), "/", "-")+"-"+w.name+".png")
	if err := os.WriteFile(file, png, 0o644); err != nil {
		w.t.Log(err)
	}
}
