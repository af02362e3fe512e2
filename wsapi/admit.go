package wsapi

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/internal/guard"
	"github.com/roomtide/roomtide/internal/poll"
)

// retryAfter is the Retry-After of a refused handshake, in seconds.
const retryAfter = 5

// admit is the admission of a connection from the network: it takes a place at the
// limiter, or returns the reason for refusing and the HTTP status that goes with
// it. release gives the place back.
func (h *Handler) admit(from netip.Prefix) (reason string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "draining", http.StatusServiceUnavailable
	}
	if reason, status = h.cfg.Conns.Acquire(from); status == 0 {
		h.done.Add(1)
	}
	return reason, status
}

func (h *Handler) release(from netip.Prefix) {
	h.cfg.Conns.Release(from)
	h.done.Done()
}

type metrics struct {
	refused  *prometheus.CounterVec // by reason
	goodbyes *prometheus.CounterVec // by reason
	panics   guard.Panics
}

// newMetrics also exports the counters of readers.
func newMetrics(reg prometheus.Registerer, readers *poll.Readers) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "wsapi", Name: name, Help: help}
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
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("closing", "Connections whose peer has ended and that wait to be drained.")),
				func() float64 { waiting, _ := readers.Closing(); return float64(waiting) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts(opts("closing_deferred_total", "Connections whose peer had ended and that had to wait to be drained, because many ended at once.")),
				func() float64 { _, deferred := readers.Closing(); return float64(deferred) }),
		)
	}
	return m
}
