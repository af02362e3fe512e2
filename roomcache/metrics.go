package roomcache

import "github.com/prometheus/client_golang/prometheus"

// part is what is read of a room.
type part uint8

const (
	partRoom part = iota
	partMember
	partMembers
	partMessages
	parts
)

var partNames = [parts]string{"room", "member", "members", "messages"}

// proof is what came of asking whether what is kept is as new as the database.
type proof uint8

const (
	proofAsked  proof = iota // the database was asked, and it is
	proofShared              // the same, by an answer to another question
	proofLate                // there are commits that were not heard yet
	proofFailed              // the database has not answered
	proofs
)

var proofNames = [proofs]string{"asked", "shared", "late", "failed"}

// dropReason is why a room is kept no longer.
type dropReason uint8

const (
	dropChanged dropReason = iota // in a way that is read anew
	dropLost                      // batches of its lane were lost
	dropFull                      // others were used since
	dropMoved                     // the slot map is another one
	dropUnread                    // it could not be read
	dropReasons
)

var dropNames = [dropReasons]string{"changed", "lost", "full", "moved", "unread"}

type metrics struct {
	rooms, bytes prometheus.Gauge
	reads        [parts][2]prometheus.Counter // from the database, from memory
	proofs       [proofs]prometheus.Counter
	dropped      [dropReasons]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "roomtide", Subsystem: "room_cache", Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "room_cache", Name: name, Help: help}, labels)
	}
	m := &metrics{
		rooms: gauge("rooms", "Rooms of which something is kept in memory."),
		bytes: gauge("bytes", "About how much memory that takes."),
	}
	reads := vec("reads_total", "Parts of rooms that were read for joins and questions, by where they came from.", "part", "from")
	asked := vec("proofs_total", "Times that was asked whether what is kept is as new as the database, by outcome.", "outcome")
	dropped := vec("dropped_total", "Rooms that are kept no longer, by reason.", "reason")
	for p, name := range partNames {
		m.reads[p] = [2]prometheus.Counter{reads.WithLabelValues(name, "database"), reads.WithLabelValues(name, "memory")}
	}
	for p, name := range proofNames {
		m.proofs[p] = asked.WithLabelValues(name)
	}
	for r, name := range dropNames {
		m.dropped[r] = dropped.WithLabelValues(name)
	}
	if reg != nil {
		reg.MustRegister(m.rooms, m.bytes, reads, asked, dropped)
	}
	return m
}

// read counts a part that was read, from memory or not.
func (m *metrics) read(p part, memory bool) {
	from := 0
	if memory {
		from = 1
	}
	m.reads[p][from].Inc()
}
