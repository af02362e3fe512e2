package ingest

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of all Readers of a node.
type Metrics struct {
	entries  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	failures *prometheus.CounterVec
	held     *prometheus.GaugeVec
}

// counters are those of one Reader.
type counters struct {
	fresh, repeated, refused, retries, failures prometheus.Counter
	held                                        prometheus.Gauge
}

// NewMetrics registers the metrics; nil registers nothing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "ingest", Name: name, Help: help}
	}
	m := &Metrics{
		entries:  prometheus.NewCounterVec(opts("entries_total", "Entries of queues by outcome: sent, repeated (had been sent before) or refused (kept with the reason)."), []string{"queue", "outcome"}),
		retries:  prometheus.NewCounterVec(opts("retries_total", "Entries that could not be sent yet and stayed in the queue."), []string{"queue"}),
		failures: prometheus.NewCounterVec(opts("failures_total", "Calls of a queue that failed."), []string{"queue"}),
		held:     prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("held", "Entries that were read and are not removed yet.")), []string{"queue"}),
	}
	if reg != nil {
		reg.MustRegister(m.entries, m.retries, m.failures, m.held)
	}
	return m
}

func (m *Metrics) of(queue string) *counters {
	return &counters{
		fresh: m.entries.WithLabelValues(queue, "sent"), repeated: m.entries.WithLabelValues(queue, "repeated"),
		refused: m.entries.WithLabelValues(queue, "refused"),
		retries: m.retries.WithLabelValues(queue), failures: m.failures.WithLabelValues(queue), held: m.held.WithLabelValues(queue),
	}
}

func (c *counters) sent(repeated bool) {
	if repeated {
		c.repeated.Inc()
		return
	}
	c.fresh.Inc()
}
