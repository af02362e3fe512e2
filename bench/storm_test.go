package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// All members that are cut reconnect and get everything, over both protocols; a
// reader that stops gets a gap and catches up. The real server, in small.
func TestStormAndSlowReader(t *testing.T) {
	program, err := testprocess.Build("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := program.Remove(); err != nil {
			t.Error(err)
		}
	})
	node := program.Start(t, t.TempDir(), testprocess.FreeAddr(t))
	node.Ready()
	o := options{addr: node.Addr}
	for _, proto := range []string{"native", "socketio"} {
		t.Run("storm "+proto, func(t *testing.T) {
			t.Parallel()
			r, err := run(t.Context(), o, Scenario{Name: "storm", Proto: proto, Storm: true, Rooms: 3, Members: 4, Senders: 2, Window: 1, Pause: time.Millisecond, Size: 50, Duration: 100 * time.Millisecond}, "")
			if err != nil {
				t.Fatal(err)
			}
			s := r.Storm
			if r.Anomalies.total() != 0 || s.Cut != 12 || s.Resumed != 12 || s.Attempts < 12 || s.CaughtUp == 0 || s.All < 500*time.Millisecond || len(s.Ended) != 0 {
				t.Errorf("%+v, %s", s, &r.Anomalies)
			}
			if r.Acked == 0 || r.Delivered != 4*r.Acked || len(r.Phases) != 3 || r.Phases[1].Ack.Samples == 0 {
				t.Errorf("%d acked, %d delivered, phases %v", r.Acked, r.Delivered, r.Phases)
			}
			if text := r.String(); !strings.Contains(text, "12 of 12") || !strings.Contains(text, "every message arrived once") {
				t.Error(text)
			}
		})
		t.Run("slow "+proto, func(t *testing.T) {
			t.Parallel()
			r := stopReading(t, o, proto)
			s := r.Slow
			// On a machine that has no time for them, others than the reader may be told
			// of a gap; what is then missing is the machine's.
			odd := r.Anomalies
			if odd.Gaps > 0 {
				odd.Gaps, odd.Missing = 0, 0
			} else if r.Delivered != 4*r.Sent {
				t.Errorf("%d of %d delivered", r.Delivered, 4*r.Sent)
			}
			if odd.total() != 0 || s.Missed == 0 || s.Gaps == 0 || s.CaughtUp == 0 || r.Phases[1].Delivery.Samples == 0 {
				t.Errorf("%+v, %s, %d of %d delivered", s, &r.Anomalies, r.Delivered, 4*r.Sent)
			}
			if text := r.String(); !strings.Contains(text, "messages behind") {
				t.Error(text)
			}
		})
	}
}

// stopReading runs the scenario of a reader that stops. It is not noticed in time
// where the kernel keeps everything for it, which can be megabytes, or where the
// server is kept from its work; and on a machine that has no time for them the
// others may miss everything as well. Then it runs again, for longer and with less
// to do.
func stopReading(t *testing.T, o options, proto string) (r *Result) {
	s := Scenario{Name: "slow", Proto: proto, Slow: true, Rooms: 1, Members: 4, Senders: 1, Rate: 500, Size: 2000, Stop: 1500 * time.Millisecond, Duration: 500 * time.Millisecond}
	for range 4 {
		var err error
		if r, err = run(t.Context(), o, s, ""); err != nil {
			t.Fatal(err)
		}
		if r.Slow.Gaps > 0 && r.Slow.CaughtUp > 0 && r.Phases[1].Delivery.Samples > 0 {
			break
		}
		t.Logf("%v at %v/s: %+v, %s", s.Stop, s.Rate, r.Slow, &r.Anomalies)
		s.Stop, s.Rate = 3*s.Stop, s.Rate/2
	}
	return r
}
