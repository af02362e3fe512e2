package sioapi

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

type metrics struct {
	conns     *prometheus.GaugeVec   // by transport and protocol
	refused   *prometheus.CounterVec // by reason
	goodbyes  *prometheus.CounterVec // by reason
	forgotten prometheus.Counter
}

// newMetrics also shows what the libraries below count themselves.
func newMetrics(reg prometheus.Registerer, io *socketio.Server) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "sockio", Name: name, Help: help}
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
		forgotten: prometheus.NewCounter(prometheus.CounterOpts(
			opts("forgotten_total", "Clients that were away and cannot come back to where they were, because too many others were away as well."))),
	}
	if reg != nil {
		reg.MustRegister(m.conns, m.refused, m.goodbyes, m.forgotten,
			read("recovered_total", "Clients that came back to where they were.", func() uint64 { return io.Stats().Recovered }),
			read("upgrades_total", "Connections that went from polling to WebSocket.", func() uint64 { return io.Engine().Stats().Upgraded }),
			read("bad_requests_total", "Requests refused, those in refused_total included.", func() uint64 { return io.Engine().Stats().Refused }),
			read("leavers_deferred_total", "WebSockets whose client was gone and that had to wait to be seen off, because many went at once.",
				func() uint64 { return io.Engine().Stats().Deferred }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("leavers", "WebSockets whose client is gone and that wait to be seen off.")),
				func() float64 { return float64(io.Engine().Stats().Closing) }),
			read("panics_total", "Commands that ended in a panic.", func() uint64 { return io.Stats().Panics + io.Engine().Stats().Panics }),
		)
	}
	return m
}

// absent shows how many clients are away.
func (m *metrics) absent(reg prometheus.Registerer, a *absent) {
	if reg != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "sockio", Name: "absent", Help: "Clients that are away and may come back to where they were.",
		}, func() float64 { return float64(a.len()) }))
	}
}

// connections is the gauge that a new connection counts in.
func (m *metrics) connections(e *engineio.Socket) prometheus.Gauge {
	return m.conns.WithLabelValues(e.Transport(), strconv.Itoa(e.Protocol()))
}
