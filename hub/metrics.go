package hub

import "github.com/prometheus/client_golang/prometheus"

// metrics are the hub's counters. Workers count in plain integers and add them
// once a round.
type metrics struct {
	conns, rooms, stalled     prometheus.Gauge
	deliveries, writes, bytes prometheus.Counter
	slow                      prometheus.Counter
	gaps                      gapCounters
}

// gapCounters count gap frames by why they were needed. Lost and late count once
// for a room, the others once for a seat.
type gapCounters struct {
	lost prometheus.Counter // a hole in rev: the bus lost events
	late prometheus.Counter // a commit that the bus never brought
	slow prometheus.Counter // a reader fell off the log
	join prometheus.Counter // Start asked for what had left the log
}

// counts are what a worker did in a round.
type counts struct {
	deliveries, writes, bytes int
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "roomtide", Subsystem: "hub", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "hub", Name: name, Help: help})
	}
	gaps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "roomtide", Subsystem: "hub", Name: "gaps_total", Help: "Gap frames, by reason.",
	}, []string{"reason"})
	m := &metrics{
		conns:      gauge("connections", "Connections now."),
		rooms:      gauge("rooms", "Rooms with a seat on this node now."),
		stalled:    gauge("stalled", "Connections waiting for their reader now."),
		deliveries: counter("deliveries_total", "Events written to connections."),
		writes:     counter("writes_total", "Writes to links."),
		bytes:      counter("written_bytes_total", "Bytes the links took."),
		slow:       counter("slow_total", "Connections closed because they did not keep up."),
		gaps: gapCounters{
			lost: gaps.WithLabelValues("lost"), late: gaps.WithLabelValues("late"),
			slow: gaps.WithLabelValues("slow"), join: gaps.WithLabelValues("join"),
		},
	}
	if reg != nil {
		reg.MustRegister(m.conns, m.rooms, m.stalled, m.deliveries, m.writes, m.bytes, m.slow, gaps)
	}
	return m
}

// add adds what a worker counted and sets it back to zero.
func (m *metrics) add(c *counts) {
	m.deliveries.Add(float64(c.deliveries))
	m.writes.Add(float64(c.writes))
	m.bytes.Add(float64(c.bytes))
	*c = counts{}
}
