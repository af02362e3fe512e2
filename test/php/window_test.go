package php

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// window is a browser of its own with the page of the example, in which a user is
// logged in.
type window struct {
	t   *testing.T
	ctx context.Context
}

func newWindow(t *testing.T, pages, name string) *window {
	t.Helper()
	w := openWindow(t)
	w.do(chromedp.Navigate("http://"+pages+"/"), chromedp.WaitVisible("[name=name]"), chromedp.SendKeys("[name=name]", name+"\r"))
	w.wait(`document.querySelector("#state")?.textContent === "online"`)
	return w
}

// openWindow opens a browser of its own.
func openWindow(t *testing.T) *window {
	t.Helper()
	chromium, err := testprocess.Chromium()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return &window{t, ctx}
}

// visit opens an address, as soon as it is served.
func (w *window) visit(address string) {
	w.t.Helper()
	for end := time.Now().Add(scriptTime); ; time.Sleep(50 * time.Millisecond) {
		err := chromedp.Do(w.ctx, chromedp.Navigate(address))
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal(err)
		}
	}
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatal(err)
	}
}

// shows waits until the last line of the chat is this one.
func (w *window) shows(line string) {
	w.t.Helper()
	w.wait(fmt.Sprintf(`document.querySelector("#messages li:last-child")?.textContent === %q`, line))
}

// wait waits until the condition holds in the page.
func (w *window) wait(condition string) {
	w.t.Helper()
	for end := time.Now().Add(scriptTime); ; time.Sleep(20 * time.Millisecond) {
		holds, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](condition))
		if holds && err == nil {
			return
		}
		if time.Now().After(end) {
			text, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			w.t.Fatalf("%s does not hold: %v; the page shows:\n%s", condition, err, text)
		}
	}
}
