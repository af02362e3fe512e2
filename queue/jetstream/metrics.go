package jetstream

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	appended prometheus.Counter
	read     prometheus.Counter
	trimmed  prometheus.Counter
	failures *prometheus.CounterVec // op
}

func newMetrics() metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_queue_" + name + "_total", Help: help})
	}
	return metrics{
		appended: counter("appended", "Entries that this node has appended to the queue of what waits for lanes."),
		read:     counter("read", "Entries of the queue that this node has read, as the owner of their lanes."),
		trimmed:  counter("trimmed", "Entries of the queue that this node has had deleted, as they are in their lanes' databases."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_queue_failures_total", Help: "Calls to the queue that failed: append, read or trim.",
		}, []string{"op"}),
	}
}

func (q *Queue) register() {
	if q.cfg.Registerer == nil {
		return
	}
	gauge := func(name, help string, value *atomic.Int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "roomtide_queue_" + name, Help: help},
			func() float64 { return float64(value.Load()) })
	}
	unwell := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roomtide_queue_unwell", Help: "1 while something is wrong with the queue; the log says what.",
	}, func() float64 {
		if q.Err() != nil {
			return 1
		}
		return 0
	})
	q.cfg.Registerer.MustRegister(q.appended, q.read, q.trimmed, q.failures, unwell,
		gauge("bytes", "Bytes in the queue, of all lanes; the same on every node.", &q.health.bytes),
		gauge("messages", "Entries in the queue, of all lanes; the last one that was decided stays for each lane.", &q.health.messages),
		gauge("replicas_current", "NATS servers that have all of the queue, as last seen; 0 if it does not answer.", &q.health.current))
}
