package presence

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	failures  prometheus.Counter
	fallbacks prometheus.Counter
	untold    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Tracker) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "presence", Name: name, Help: help})
	}
	m := &metrics{
		failures:  counter("driver_failures_total", "Times the driver did not take changes."),
		fallbacks: counter("fallbacks_total", "Questions that the driver could not answer and the store did."),
		untold:    counter("untold_total", "Times a room was not told because nobody could say who is online."),
	}
	if reg != nil {
		pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "presence", Name: "pending", Help: "Changes not told yet.",
		}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(t.pending)
		})
		reg.MustRegister(m.failures, m.fallbacks, m.untold, pending)
	}
	return m
}
