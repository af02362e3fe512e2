package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/hostevents"
)

type metrics struct {
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	took     prometheus.Histogram
	delay    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_webhook_events_total", Help: "Events of a webhook by what became of them: delivered, dead (given up), lost (dead letters that were too many).",
		}, []string{"webhook", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_webhook_requests_total", Help: "Requests to a webhook by result: ok, http_4xx and so on, timeout, connection, inside (an address that is not public).",
		}, []string{"webhook", "result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roomtide_webhook_request_seconds", Help: "How long requests to webhooks take.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 8),
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roomtide_webhook_delay_seconds", Help: "From the commit of an event until a webhook has taken it.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.events, m.requests, m.took, m.delay)
	}
	return m
}

func (m *metrics) delivered(id string, events []hostevents.Event, now time.Time) {
	m.events.WithLabelValues(id, "delivered").Add(float64(len(events)))
	for i := range events {
		m.delay.Observe(now.Sub(time.UnixMilli(events[i].Time)).Seconds())
	}
}

func (m *metrics) dead(id string, n int) { m.events.WithLabelValues(id, "dead").Add(float64(n)) }
func (m *metrics) lost(id string, n int) { m.events.WithLabelValues(id, "lost").Add(float64(n)) }

func (m *metrics) requested(id string, f *failure, took time.Duration) {
	result := "ok"
	if f != nil {
		result = f.result
	}
	m.requests.WithLabelValues(id, result).Inc()
	m.took.Observe(took.Seconds())
}
