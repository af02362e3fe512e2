package push

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	outcomes *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, g *Gateway) *metrics {
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "roomtide", Subsystem: "push", Name: "outcomes_total", Help: "Attempts to push, by what came of them.",
		}, []string{"provider", "action", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "roomtide", Subsystem: "push", Name: "attempt_seconds", Help: "How long push services take to answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"provider"}),
	}
	if reg != nil {
		reg.MustRegister(m.outcomes, m.seconds)
		for name, l := range g.lines {
			m.outcomes.WithLabelValues(name, Delivered.String(), class(200)) // they begin with 0
			m.seconds.WithLabelValues(name)
			gauge := func(metric, help string, of func(*service) bool) {
				reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
					Namespace: "roomtide", Subsystem: "push", Name: metric, Help: help,
					ConstLabels: prometheus.Labels{"provider": name},
				}, func() float64 { return float64(l.count(of)) }))
			}
			gauge("paused", "Services that are not asked at the moment.", func(s *service) bool { return s.paused })
			gauge("refused", "Services that refuse the node's credentials or settings.", func(s *service) bool { return s.refused })
			gauge("doubting", "Services for which most targets look dead, so that none is deleted.", func(s *service) bool { return s.doubting })
		}
	}
	return m
}

func (m *metrics) count(provider string, o Outcome) {
	m.outcomes.WithLabelValues(provider, o.Action.String(), o.Reason).Inc()
}

func (m *metrics) took(provider string, d time.Duration) {
	m.seconds.WithLabelValues(provider).Observe(d.Seconds())
}

// count is how many services are in a state.
func (l *line) count(of func(*service) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		if of(s) {
			n++
		}
	}
	return n
}
