package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

type metrics struct {
	seconds *prometheus.HistogramVec // op, shard
	errors  *prometheus.CounterVec   // op, shard, kind
}

// newMetrics registers the metrics of a Store with reg, unless it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roomtide_store_call_seconds", Help: "Time of one call to a database, by what was asked.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9), // 0.1 ms to 6.5 s
		}, []string{"op", "shard"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_store_errors_total", Help: "Calls to a database that failed, by kind; what does not exist is no failure.",
		}, []string{"op", "shard", "kind"}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.errors)
	}
	return m
}

func (m *metrics) called(op, shard string, d time.Duration) {
	m.seconds.WithLabelValues(op, shard).Observe(d.Seconds())
}

func (m *metrics) failed(op, shard string, kind chat.Kind) {
	code := kind.Code()
	if kind == chat.Fenced {
		code = "fenced" // clients see another word
	}
	m.errors.WithLabelValues(op, shard, code).Inc()
}
