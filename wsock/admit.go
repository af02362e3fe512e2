package wsock

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
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
	if why, status = h.cfg.Gate.Enter(from); status == 0 {
		h.done.Add(1)
	}
	return why, status
}

func (h *Handler) release(from netip.Prefix) {
	h.cfg.Gate.Leave(from)
	h.done.Done()
}

type metrics struct {
	refused  *prometheus.CounterVec // by why
	goodbyes *prometheus.CounterVec // by reason
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "wsock", Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		refused:  vec("refused_total", "Handshakes refused, by reason.", "reason"),
		goodbyes: vec("goodbyes_total", "Connections ended by this transport, by reason.", "reason"),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "wsock", Name: "panics_total", Help: "Commands that ended in a panic."}),
	}
	if reg != nil {
		reg.MustRegister(m.refused, m.goodbyes, m.panics)
	}
	return m
}
