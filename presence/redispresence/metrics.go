package redispresence

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	failures prometheus.Counter
	rebuilds prometheus.Counter
	twins    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, d *Driver) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "redis", Name: name, Help: help})
	}
	m := &metrics{
		failures: counter("heartbeat_failures_total", "Heartbeats that Redis did not take."),
		rebuilds: counter("rebuilds_total", "Times Redis was told everything: at the start, and after it was wiped, replaced or away."),
		twins:    counter("twins_total", "Heartbeats that found another process under the name of this node."),
	}
	if reg != nil {
		reg.MustRegister(m.failures, m.rebuilds, m.twins, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "redis", Name: "up", Help: "1 while Redis has who is online through this node.",
		}, func() float64 {
			if d.isTold() {
				return 1
			}
			return 0
		}))
	}
	return m
}
