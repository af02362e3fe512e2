package relay

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are the metrics of a relay.
type counters struct {
	waiting, bytes atomic.Int64 // changes of this node without an outcome

	forwarded, repeated, givenUp, packets, failures prometheus.Counter // as a sender
	served, servedPackets, holes, answers           prometheus.Counter // as an owner
	overflows, accepted, unkept, kept, queueHoles   prometheus.Counter // of the durable queue
	garbage                                         prometheus.Counter
}

func newCounters(reg prometheus.Registerer) *counters {
	c := &counters{}
	counter := func(name, help string) prometheus.Counter {
		m := prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_relay_" + name, Help: help})
		if reg != nil {
			reg.MustRegister(m)
		}
		return m
	}
	gauge := func(name, help string, v *atomic.Int64) {
		if reg != nil {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "roomtide_relay_" + name, Help: help},
				func() float64 { return float64(v.Load()) }))
		}
	}
	gauge("waiting", "Changes that were handed to owners of lanes and have no outcome yet.", &c.waiting)
	gauge("waiting_bytes", "Bytes of changes that were handed to owners of lanes and have no outcome yet.", &c.bytes)
	c.forwarded = counter("forwarded_total", "Changes that were handed to owners of lanes.")
	c.repeated = counter("repeated_total", "Entries that were sent again.")
	c.givenUp = counter("given_up_total", "Changes that were answered unavailable as no outcome was heard.")
	c.packets = counter("packets_total", "Packets of changes that were sent.")
	c.failures = counter("publish_failures_total", "Messages that the connection to NATS did not take.")
	c.served = counter("served_total", "Changes that were taken from nodes for lanes of this one.")
	c.servedPackets = counter("served_packets_total", "Packets of changes that arrived.")
	c.holes = counter("holes_total", "Packets that were not taken, as one before them was lost.")
	c.answers = counter("answers_total", "Messages with outcomes or receipts that were sent.")
	c.overflows = counter("overflows_total", "Times a lane turned to the durable queue, as an outcome took too long.")
	c.accepted = counter("accepted_total", "Changes that were put into the durable queue.")
	c.unkept = counter("queue_failures_total", "Entries that the durable queue did not take, or may not have taken.")
	c.kept = counter("queue_served_total", "Changes that were taken from the durable queue for lanes of this node.")
	c.queueHoles = counter("queue_holes_total", "Holes in the durable queue: changes that were accepted may be lost.")
	c.garbage = counter("garbage_total", "Messages that could not be read.")
	return c
}

// wait counts changes and bytes that wait, or no longer do.
func (c *counters) wait(changes, bytes int) {
	c.waiting.Add(int64(changes))
	c.bytes.Add(int64(bytes))
}

// hex is an incarnation as the last token of a subject.
func hex(n uint64) string { return fmt.Sprintf("%016x", n) }
