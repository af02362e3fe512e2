package notify

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	jobs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, s *Sender) *metrics {
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "roomtide", Subsystem: "push", Name: "jobs_total",
			Help: "What came of jobs to push: sent, retried, dead, expired, gone (the device is), cancelled (there was nothing left to tell), foreground (the user looks).",
		}, []string{"provider", "outcome", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "roomtide", Subsystem: "push", Name: "seconds", Help: "From a message to its notification being with the service, the delay included.",
			Buckets: []float64{.1, .25, .5, 1, 2, 3, 3.25, 3.5, 4, 5, 10, 30, 60, 300},
		}, []string{"provider"}),
	}
	if reg != nil {
		for _, provider := range s.cfg.Gateway.Providers() { // they begin with 0
			m.jobs.WithLabelValues(provider, "sent", "")
			m.seconds.WithLabelValues(provider)
		}
		reg.MustRegister(m.jobs, m.seconds, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "roomtide", Subsystem: "push", Name: "running", Help: "Jobs to push that are worked on.",
		}, func() float64 { return float64(s.flying()) }))
	}
	return m
}

func (m *metrics) count(provider, outcome, reason string) {
	m.jobs.WithLabelValues(provider, outcome, reason).Inc()
}

// flying is how many jobs are worked on.
func (s *Sender) flying() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.crews {
		n += c.flown()
	}
	return n
}
