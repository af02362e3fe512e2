package natsbus

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	ignored prometheus.Counter
	lost    prometheus.Counter
	unsent  prometheus.Counter
	dropped atomic.Int64 // by the subscription, as last heard
}

func (b *Bus) register(reg prometheus.Registerer) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_bus_" + name + "_total", Help: help})
	}
	b.ignored = counter("ignored", "Messages on the subjects of the bus that are no batches.")
	b.lost = counter("lost", "Batches that came in several messages of which some were missing, or that there was no room to put together.")
	b.unsent = counter("unsent", "Batches that NATS did not take. Clients of this node have got them.")
	if reg == nil {
		return
	}
	reg.MustRegister(b.ignored, b.lost, b.unsent, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "roomtide_bus_dropped_total", Help: "Messages of other nodes that were not taken in time.",
	}, b.keepDropped))
}

// keepDropped returns how many messages the subscription has dropped. An ended
// subscription does not tell any more.
func (b *Bus) keepDropped() float64 {
	if b.sub != nil {
		if n, err := b.sub.Dropped(); err == nil {
			b.dropped.Store(int64(n))
		}
	}
	return float64(b.dropped.Load())
}
