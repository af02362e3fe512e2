package hub

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// metrics are the hub's counters. Workers count in plain integers and add them
// once a round.
type metrics struct {
	conns, rooms, stalled     prometheus.Gauge
	deliveries, writes, bytes prometheus.Counter
	slow, shed                prometheus.Counter
	holes                     prometheus.Counter
	gaps                      [chat.GapReasons]prometheus.Counter
}

// counts are what a worker did in a round.
type counts struct {
	deliveries, writes, bytes int
}

func newMetrics(reg prometheus.Registerer, memory map[string]*atomic.Int64) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "roomtide", Subsystem: "hub", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "hub", Name: name, Help: help})
	}
	gaps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "roomtide", Subsystem: "hub", Name: "gaps_total", Help: "Subscriptions that were told of a gap, by reason.",
	}, []string{"reason"})
	m := &metrics{
		conns:      gauge("connections", "Connections now."),
		rooms:      gauge("rooms", "Rooms with a subscription on this node now."),
		stalled:    gauge("stalled", "Connections waiting for their reader now."),
		deliveries: counter("deliveries_total", "Events written to connections."),
		writes:     counter("writes_total", "Writes to links."),
		bytes:      counter("written_bytes_total", "Bytes the links took."),
		slow:       counter("slow_total", "Connections closed because they did not keep up."),
		shed:       counter("shed_total", "Connections closed as slow because too much waited for all connections together."),
		holes:      counter("lane_holes_total", "Times that batches of a lane were lost."),
	}
	for r := range chat.GapReasons {
		m.gaps[r] = gaps.WithLabelValues(r.String())
	}
	if reg != nil {
		reg.MustRegister(m.conns, m.rooms, m.stalled, m.deliveries, m.writes, m.bytes, m.slow, m.shed, m.holes, gaps)
		for name, bytes := range memory {
			reg.MustRegister(prometheus.NewGaugeFunc(
				prometheus.GaugeOpts{Namespace: "roomtide", Subsystem: "hub", Name: name, Help: memoryHelp[name]},
				func() float64 { return float64(bytes.Load()) }))
		}
	}
	return m
}

var memoryHelp = map[string]string{
	"private_bytes":  "Bytes of replies that wait for their readers now.",
	"held_bytes":     "Bytes of answers over HTTP that wait for their readers now.",
	"room_log_bytes": "Bytes of room logs now.",
}

// add adds what a worker counted and sets it back to zero.
func (m *metrics) add(c *counts) {
	m.deliveries.Add(float64(c.deliveries))
	m.writes.Add(float64(c.writes))
	m.bytes.Add(float64(c.bytes))
	*c = counts{}
}
