package storepresence

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	cancelled prometheus.Counter
	failed    prometheus.Counter
	lost      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Record) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "presence_store", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	m := &metrics{
		cancelled: counter("cancelled_total", "Changes of who is online that were undone before they were written to the store."),
		failed:    counter("failed_total", "Changes of who is online that could not be written to the store, and are written again with the next ones."),
		lost:      counter("lost_total", "Changes of who is online that were being written to the store when the node ended."),
	}
	if reg != nil {
		reg.MustRegister(m.cancelled, m.failed, m.lost,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("pending", "Changes of who is online that are not written to the store yet.")), func() float64 {
				r.mu.Lock()
				defer r.mu.Unlock()
				n := 0
				for _, p := range r.parts {
					n += p.recent.len() + p.aged.len() + p.returned.len() + p.unwritten
				}
				return float64(n)
			}))
	}
	return m
}
