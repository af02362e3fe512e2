package browser

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// frames counts the frames that the page shows in some seconds, and the longest pause
// between two.
const frames = `new Promise((done) => {
	const start = performance.now();
	let n = 0, last = start, longest = 0;
	requestAnimationFrame(function frame(now) {
		n++;
		longest = Math.max(longest, now - last);
		last = now;
		if (now - start < 6000) requestAnimationFrame(frame);
		else done([1000 * n / (now - start), longest]);
	});
})`

// BenchmarkFrames measures the frames a second of the page while messages arrive in the
// room on the screen, in Chromium with a processor four times as slow and with that of the
// machine, beside those of an empty page in the same minute:
//
//	go test -run '^$' -bench Frames -benchtime 1x ./test/browser
func BenchmarkFrames(b *testing.B) {
	for _, slower := range []int{4, 1} {
		for _, rate := range []int{0, 20, 200} {
			for _, where := range []string{"at the end", "scrolled up"} {
				b.Run(fmt.Sprintf("%d times slower, %d messages a second, %s", slower, rate, where), func(b *testing.B) {
					for range b.N {
						measureFrames(b, slower, rate, where)
					}
				})
			}
		}
	}
}

func measureFrames(b *testing.B, slower, rate int, where string) {
	n := startNode(b)
	for i := range 300 {
		n.post("ben", "lobby", fmt.Sprintf("message %d of those that were there before", i))
	}
	w := enter(b, n, "ada", "")
	slow := emulation.SetCPUThrottlingRateParams{Rate: float64(slower)}
	if _, err := chromedp.Call(w.ctx, emulation.SetCPUThrottlingRate, slow); err != nil {
		b.Fatal(err)
	}
	if where == "scrolled up" {
		w.wait("the oldest message", `(document.querySelector('#timeline').scrollTop = 0, `+texts+`[0].startsWith('message 0 '))`)
	}
	threadTime := performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}
	if _, err := chromedp.Call(w.ctx, performance.Enable, threadTime); err != nil {
		b.Fatal(err)
	}
	stop := n.load(b, rate)
	before := taskTime(w)
	page := eval[[]float64](w, frames)
	busy := (taskTime(w) - before) / 6
	rows := eval[int](w, `document.querySelectorAll('.message').length`)
	stop()
	w.do(chromedp.Navigate("about:blank"))
	stop = n.load(b, rate) // the machine is as busy
	empty := eval[[]float64](w, frames)
	stop()
	b.ReportMetric(page[0], "fps")
	b.ReportMetric(page[0]/empty[0], "of-empty-page")
	b.ReportMetric(100*busy, "%-of-main-thread")
	b.ReportMetric(page[1], "ms-longest")
	b.ReportMetric(float64(rows), "rows")
	b.ReportMetric(0, "ns/op")
}

// taskTime is the processor time of the window's main thread, in seconds. It does not
// count that the processor is slow, or that other processes have it.
func taskTime(w *window) float64 {
	w.t.Helper()
	r, err := chromedp.Call(w.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range r.Metrics {
		if m.Name == "TaskDuration" {
			return m.Value
		}
	}
	w.t.Fatal("the browser has no TaskDuration")
	return 0
}

// load posts messages at a rate until it is stopped.
func (n *node) load(b *testing.B, rate int) (stop func()) {
	if rate == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(b.Context())
	tick := time.NewTicker(time.Second / time.Duration(rate))
	var posting sync.WaitGroup
	for user := range 8 {
		posting.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					n.post(fmt.Sprintf("user%d", user), "lobby", "one of many messages, as long as messages are on the average")
				}
			}
		})
	}
	return func() {
		cancel()
		posting.Wait()
		tick.Stop()
	}
}
