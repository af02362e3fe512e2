package engineio_test

import (
	"runtime"
	"testing"

	"github.com/roomtide/roomtide/engineio"
)

// WebSockets on which nothing arrives have no goroutines, those that took over a
// polling session among them, and go on when something does.
func TestIdleWebSocketsHaveNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there they have
	}
	overTCP(t, engineio.Options{}, func(t *testing.T, w *world) {
		const conns = 90
		all := make([]*socket, conns)
		for i := range all {
			if version := 3 + i%2; i%3 == 0 {
				all[i] = w.open(version).upgrade()
			} else {
				all[i] = (&client{world: w, version: version}).ws()
				all[i].receiveHello()
			}
		}
		w.http.CloseIdleConnections()
		w.settle(func() bool { return runtime.NumGoroutine() < conns/3 })
		for _, s := range all {
			s.send("4again")
			s.receive("4again")
			s.bye()
		}
	})
}
