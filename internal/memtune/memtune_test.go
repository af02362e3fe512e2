package memtune

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The number of connections is asked for at each check, and stop undoes what was
// set and ends the goroutine.
func TestStart(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		stop := Start(func() int { asked++; return growthFrom })
		time.Sleep(interval + time.Second)
		synctest.Wait()
		if p := debug.SetGCPercent(growthGOGC); asked != 1 || p != growthGOGC {
			t.Errorf("asked %d times, GOGC is %d", asked, p)
		}
		stop()
		time.Sleep(time.Minute)
		if p := debug.SetGCPercent(100); asked != 1 || p != 100 {
			t.Errorf("after stop: asked %d times, GOGC is %d", asked, p)
		}
	})
}
