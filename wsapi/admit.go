package wsapi

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/guard"
	"github.com/roomtide/roomtide/internal/poll"
)

// retryAfter is the Retry-After of a refused handshake, in seconds.
const retryAfter = 5

// admit is the admission of a handshake from the network: it returns the reason for
// refusing and the HTTP status that goes with it, or counts the connection to come,
// whose end is release. Its place at the limiter is taken by place.
func (h *Handler) admit(from netip.Prefix) (reason string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "draining", http.StatusServiceUnavailable
	}
	if reason, status = h.cfg.Conns.Check(from); status == 0 {
		h.done.Add(1)
	}
	return reason, status
}

// place takes the place of a client that has just identified itself. It had none
// before: places belong to clients with a name, and are not for floods. The last one
// may have been taken since admit.
func (c *client) place() {
	c.pending.Leave()
	c.pending = nil
	if reason, status := c.h.cfg.Conns.Acquire(c.from); status != 0 {
		c.h.metrics.refused.WithLabelValues(reason).Inc()
		c.end(chat.ByeBusy)
		return
	}
	c.placed = true
}

// release gives back what the connection has.
func (c *client) release() {
	if c.pending != nil {
		c.pending.Leave()
	}
	if c.placed {
		c.h.cfg.Conns.Release(c.from)
	}
	c.h.done.Done()
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
	for _, g := range chat.Goodbyes { // a rate needs the series before the first one
		m.goodbyes.WithLabelValues(g.Reason)
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
