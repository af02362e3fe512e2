package presence

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	failures    prometheus.Counter
	fallbacks   prometheus.Counter
	unpublished prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Tracker) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "presence", Name: name, Help: help})
	}
	m := &metrics{
		failures:    counter("driver_failures_total", "Times the driver did not apply changes."),
		fallbacks:   counter("fallbacks_total", "Questions that the driver could not answer and the store did."),
		unpublished: counter("unpublished_total", "Times nothing was published to a room because neither the driver nor the store answered who is online."),
	}
	if reg != nil {
		pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "presence", Name: "pending", Help: "Changes that are not flushed yet.",
		}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(t.pendingCount)
		})
		reg.MustRegister(m.failures, m.fallbacks, m.unpublished, pending)
	}
	return m
}
