package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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
	s, err := Open(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	var made atomic.Int64
	var flood sync.WaitGroup
	for range 4 {
		if perSecond > 0 {
			flood.Go(func() { connectAndReset(ctx, s.listener.Addr().String(), perSecond/4, &made) })
		}
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext,
	}}
	var took []time.Duration
	begin := time.Now()
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
	b.ReportMetric(float64(made.Load())/time.Since(begin).Seconds(), "flood/s")
	stop()
	flood.Wait()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": .5, "p99-ms": .99, "max-ms": 1} {
		b.ReportMetric(float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds())/1000, name)
	}
}

// connectAndReset opens connections from 127.0.0.2 at a rate and resets each at once.
func connectAndReset(ctx context.Context, addr string, perSecond int, made *atomic.Int64) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range perSecond / 100 {
			c, err := d.DialContext(ctx, "tcp", addr)
			made.Add(1)
			if err != nil {
				continue // reset already
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
}
