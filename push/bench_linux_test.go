package push_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/push"
)

// BenchmarkPush pushes through the gateway and a driver to the stand-in, which runs in the
// same process and checks signatures and encryption: cpu-us/push is the processor time of
// both sides, which other load on the machine changes least. "floor" is the same over bare
// net/http: a body of that size, posted over HTTP/2, read, and answered with 200.
func BenchmarkPush(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the client would tell
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		defer server.Close()
		body := strings.Repeat("x", 300)
		run(b, func() error {
			resp, err := server.Client().Post(server.URL, "application/json", strings.NewReader(body))
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	})
	for _, name := range []string{"fcm", "apns", "webpush"} {
		b.Run(name, func(b *testing.B) {
			s := openServices(b, 256)
			run(b, func() error {
				if o := s.gateway.Send(b.Context(), s.targets[name], s.note()); o.Action != push.Delivered {
					return fmt.Errorf("%+v", o)
				}
				return nil
			})
			if name == "apns" {
				b.ReportMetric(float64(s.standin.Connections()), "connections")
			}
		})
	}
}

// run pushes with 128 in flight, after one that makes the connection.
func run(b *testing.B, send func() error) {
	b.Helper()
	if err := send(); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(128 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := send(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/push")
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
