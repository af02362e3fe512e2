package push_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/push"
)

// BenchmarkPush pushes through the gateway and a driver to the stand-in, which runs in the
// same process and checks signatures and encryption: cpu-us/push is the processor time of
// both sides, which other load on the machine changes least.
func BenchmarkPush(b *testing.B) {
	for _, name := range []string{"fcm", "apns", "webpush"} {
		b.Run(name, func(b *testing.B) {
			s := openServices(b, 256)
			if o := s.gateway.Send(b.Context(), s.targets[name], s.note()); o.Action != push.Delivered {
				b.Fatalf("%+v", o)
			}
			b.SetParallelism(256 * 3 / 4 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if o := s.gateway.Send(b.Context(), s.targets[name], s.note()); o.Action != push.Delivered {
						b.Errorf("%+v", o)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/push")
			if n := s.standin.Connections(); name == "apns" {
				b.ReportMetric(float64(n), "connections")
			}
		})
	}
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
