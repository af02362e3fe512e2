package sioapi

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

type metrics struct {
	conns    *prometheus.GaugeVec   // by transport and protocol
	refused  *prometheus.CounterVec // by reason
	goodbyes *prometheus.CounterVec // by reason
	evicted  prometheus.Counter
}

// newMetrics also exports the counters of the libraries below.
func newMetrics(reg prometheus.Registerer, io *socketio.Server) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "sioapi", Name: name, Help: help}
	}
	vec := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{"reason"})
	}
	read := func(name, help string, f func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts(opts(name, help)), func() float64 { return float64(f()) })
	}
	m := &metrics{
		conns: prometheus.NewGaugeVec(
			prometheus.GaugeOpts(opts("connections", "Connections now, by the transport they began with and the version of Engine.IO.")),
			[]string{"transport", "protocol"}),
		refused:  vec("refused_total", "Handshakes refused, by reason."),
		goodbyes: vec("goodbyes_total", "Connections ended by the server, by reason."),
		evicted: prometheus.NewCounter(prometheus.CounterOpts(
			opts("resumable_evicted_total", "Sessions that cannot be resumed any more, because too many others were resumable."))),
	}
	for _, g := range chat.Goodbyes { // a rate needs the series before the first one
		m.goodbyes.WithLabelValues(g.Reason)
	}
	if reg != nil {
		reg.MustRegister(m.conns, m.refused, m.goodbyes, m.evicted,
			read("recovered_total", "Sessions that were resumed.", func() uint64 { return io.Stats().Recovered }),
			read("upgrades_total", "Connections that went from polling to WebSocket.", func() uint64 { return io.Engine().Stats().Upgraded }),
			read("bad_requests_total", "Requests refused, those in refused_total included.", func() uint64 { return io.Engine().Stats().Refused }),
			read("closing_deferred_total", "WebSockets whose peer had ended and that had to wait to be drained, because many ended at once.",
				func() uint64 { return io.Engine().Stats().Deferred }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("closing", "WebSockets whose peer has ended and that wait to be drained.")),
				func() float64 { return float64(io.Engine().Stats().Closing) }),
			read("panics_total", "Commands that ended in a panic.", func() uint64 { return io.Stats().Panics + io.Engine().Stats().Panics }),
		)
	}
	return m
}

// watch exports the number of resumable sessions.
func (m *metrics) watch(reg prometheus.Registerer, rs *resumeStore) {
	if reg != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "sioapi", Name: "resumable", Help: "Sessions whose client is disconnected and that can be resumed.",
		}, func() float64 { return float64(rs.len()) }))
	}
}

// connections is the gauge that a new connection counts in.
func (m *metrics) connections(e *engineio.Socket) prometheus.Gauge {
	return m.conns.WithLabelValues(e.Transport(), strconv.Itoa(e.Protocol()))
}
