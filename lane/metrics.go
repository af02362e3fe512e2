package lane

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	changes     prometheus.Counter
	refused     prometheus.Counter
	failed      prometheus.Counter
	unpublished prometheus.Counter
	repeats     prometheus.Counter
	tenures     prometheus.Counter
	size        prometheus.Histogram
	commit      prometheus.Histogram

	pushQueued    *prometheus.CounterVec
	pushCollapsed *prometheus.CounterVec
	pushRead      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, providers []string) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	ofProvider := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"provider"})
	}
	m := &metrics{
		changes:       counter("roomtide_lane_changes_total", "Changes decided by lanes."),
		refused:       counter("roomtide_lane_refused_total", "Changes refused because a lane was full or closed."),
		failed:        counter("roomtide_lane_failed_total", "Changes that failed because storage did not work."),
		unpublished:   counter("roomtide_lane_unpublished_total", "Events the bus could not carry; clients resume."),
		repeats:       counter("roomtide_lane_repeats_total", "Batches decided once more because the key of a message was there already."),
		tenures:       counter("roomtide_lane_tenures_total", "Lanes that this node of a cluster has taken over."),
		pushQueued:    ofProvider("roomtide_push_queued_total", "Jobs to push that lanes have made."),
		pushCollapsed: ofProvider("roomtide_push_collapsed_total", "Jobs that wait and are about a newer message now."),
		pushRead:      counter("roomtide_push_read_total", "Jobs that were cancelled, as their messages were read before they were sent."),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roomtide_lane_batch_changes", Help: "Changes in one commit.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roomtide_lane_commit_seconds", Help: "Time of one commit, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
	for _, provider := range providers { // they begin with 0
		m.pushQueued.WithLabelValues(provider)
		m.pushCollapsed.WithLabelValues(provider)
	}
	if reg != nil {
		reg.MustRegister(m.changes, m.refused, m.failed, m.unpublished, m.repeats, m.tenures, m.size, m.commit,
			m.pushQueued, m.pushCollapsed, m.pushRead)
	}
	return m
}

func (m *metrics) batch(n int) {
	m.changes.Add(float64(n))
	m.size.Observe(float64(n))
}

// pushCounts is what a batch does to jobs to push. Providers are those that the gateway knows. Whose
// jobs are cancelled by a read mark is not known: their devices are not asked for.
type pushCounts struct {
	queued, collapsed []string // providers
	read              int
}

func (m *metrics) pushes(n *pushCounts) {
	for _, provider := range n.queued {
		m.pushQueued.WithLabelValues(provider).Inc()
	}
	for _, provider := range n.collapsed {
		m.pushCollapsed.WithLabelValues(provider).Inc()
	}
	m.pushRead.Add(float64(n.read))
}
