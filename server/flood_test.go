package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/roomtide/roomtide/config"
)

// BenchmarkRequestsDuringFlood measures requests of an honest client, each on a new
// connection, while another address connects and resets 4,000 times a second.
func BenchmarkRequestsDuringFlood(b *testing.B) {
	for _, perSecond := range []int{0, 1500, 4000} {
		b.Run(strconv.Itoa(perSecond), func(b *testing.B) { requestsDuringFlood(b, perSecond) })
	}
}

func requestsDuringFlood(b *testing.B, perSecond int) {
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = b.TempDir(), "127.0.0.1:0"
	s, err := Open(b.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	if perSecond > 0 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), floodEnv+"="+s.listener.Addr().String(), rateEnv+"="+strconv.Itoa(perSecond))
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Kill() // it is over already if this fails
			_ = cmd.Wait()
		}()
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext,
	}}
	var took []time.Duration
	before, begin := s.floodSeen(b), time.Now()
	b.ResetTimer()
	for b.Loop() {
		start := time.Now()
		resp, err := client.Get(s.URL() + "healthz")
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // its end is not of interest
		resp.Body.Close()
		took = append(took, time.Since(start))
		time.Sleep(10 * time.Millisecond) // an honest client's pace
	}
	b.StopTimer()
	b.ReportMetric((s.floodSeen(b)-before)/time.Since(begin).Seconds(), "refused/s")
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": .5, "p99-ms": .99, "max-ms": 1} {
		b.ReportMetric(float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds())/1000, name)
	}
}

// floodSeen returns how many connections were refused as soon as they came.
func (s *Server) floodSeen(b *testing.B) (n float64) {
	families, err := s.reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "roomtide_accept_refused_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// The environment of a process that floods an address at a rate.
const floodEnv, rateEnv = "ROOMTIDE_TEST_FLOOD", "ROOMTIDE_TEST_FLOOD_RATE"

// flood opens connections from 127.0.0.2 and resets each at once, until it is killed.
func flood(addr string) {
	perSecond, err := strconv.Atoi(os.Getenv(rateEnv))
	if err != nil {
		panic(err)
	}
	const workers = 4
	for range workers {
		go func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			for tick := time.Tick(10 * time.Millisecond); ; <-tick {
				for range max(1, perSecond/workers/100) {
					if c, err := d.Dial("tcp", addr); err == nil { // else it was reset already
						_ = c.(*net.TCPConn).SetLinger(0)
						c.Close()
					}
				}
			}
		}()
	}
	select {}
}
