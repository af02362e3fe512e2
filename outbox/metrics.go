package outbox

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reg      prometheus.Registerer
	failures *prometheus.CounterVec
}

var labels = []string{"consumer", "shard"}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{reg: reg, failures: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roomtide_outbox_failures_total", Help: "Attempts of a consumer that failed; the entry is tried again.",
	}, labels)}
	if reg != nil {
		reg.MustRegister(m.failures)
	}
	return m
}

// watch registers the lag of every worker.
func (m *metrics) watch(o *Outbox) {
	if m.reg != nil {
		m.reg.MustRegister(lags{o})
	}
}

// lags collects the lag of each worker when it is asked for.
type lags struct{ outbox *Outbox }

var lagDesc = prometheus.NewDesc("roomtide_outbox_lag", "Commits of a lane that the consumer has not worked on yet.", labels, nil)

func (lags) Describe(c chan<- *prometheus.Desc) { c <- lagDesc }

func (l lags) Collect(c chan<- prometheus.Metric) {
	l.outbox.each(func(w *worker) {
		if !w.Trails {
			c <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(w.lag()), w.Name, w.reader.Name())
		}
	})
}
