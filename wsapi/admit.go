package wsapi

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/internal/guard"
	"github.com/roomtide/roomtide/internal/poll"
)

// retryAfter is the seconds a refused client is told to wait.
const retryAfter = 5

// admit takes a place for a connection from the network, or says why not and
// with which HTTP status. release gives the place back.
func (h *Handler) admit(from netip.Prefix) (why string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "draining", http.StatusServiceUnavailable
	}
	if why, status = h.cfg.Conns.Acquire(from); status == 0 {
		h.done.Add(1)
	}
	return why, status
}

func (h *Handler) release(from netip.Prefix) {
	h.cfg.Conns.Release(from)
	h.done.Done()
}

type metrics struct {
	refused  *prometheus.CounterVec // by why
	goodbyes *prometheus.CounterVec // by reason
	panics   guard.Panics
}

// newMetrics also shows what readers count themselves.
func newMetrics(reg prometheus.Registerer, readers *poll.Readers) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "wsock", Name: name, Help: help}
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
	}
	m := &metrics{
		refused:  vec("refused_total", "Handshakes refused, by reason.", "reason"),
		goodbyes: vec("goodbyes_total", "Connections ended by this transport, by reason.", "reason"),
	}
	if reg != nil {
		reg.MustRegister(m.refused, m.goodbyes,
			prometheus.NewCounterFunc(prometheus.CounterOpts(opts("panics_total", "Commands that ended in a panic.")),
				func() float64 { return float64(m.panics.Load()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("leavers", "Connections whose peer is gone and that wait to be seen off.")),
				func() float64 { waiting, _ := readers.Leavers(); return float64(waiting) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts(opts("leavers_deferred_total", "Connections whose peer was gone and that had to wait to be seen off, because many went at once.")),
				func() float64 { _, deferred := readers.Leavers(); return float64(deferred) }),
		)
	}
	return m
}
