package mover

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/store"
)

// Status is a move as operators see it, also as JSON.
type Status struct {
	ID     int64           `json:"id"`
	Slots  string          `json:"slots"`
	From   string          `json:"from"`
	To     string          `json:"to"`
	Phase  store.MovePhase `json:"phase"`
	Paused bool            `json:"paused"`
	Error  string          `json:"error,omitempty"` // of the last step that failed
	Rate   int             `json:"rate"`            // rows a second, 0: no limit

	Started Time `json:"started"`
	Flipped Time `json:"flipped,omitzero"`
	Ended   Time `json:"ended,omitzero"`

	Total    int64 `json:"total"`    // rows to copy, about
	Rows     int64 `json:"rows"`     // copied
	Bytes    int64 `json:"bytes"`    // copied
	Followed int64 `json:"followed"` // rows copied again because they were written meanwhile
	Compared int64 `json:"compared"` // rows found equal
	Deleted  int64 `json:"deleted"`

	Lag       int64 `json:"lag"`             // commits of the source that are still to be followed
	PerSecond int64 `json:"rows_per_second"` // lately
	Left      int64 `json:"seconds_left"`    // until all is copied or compared, about; 0 if that is not known
	Holds     int64 `json:"holds"`           // how often changes were held back
	HeldFor   int64 `json:"held_ms"`         // for how long the last time
}

// Time is Unix milliseconds, 0 before it comes; in JSON as the API writes times.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalText writes the time.
func (t Time) MarshalText() ([]byte, error) {
	return time.UnixMilli(int64(t)).UTC().AppendFormat(nil, timeLayout), nil
}

// UnmarshalText reads what MarshalText has written.
func (t *Time) UnmarshalText(text []byte) error {
	at, err := time.Parse(timeLayout, string(text))
	*t = Time(at.UnixMilli())
	return err
}

// Moves are the moves from an ID on, in ascending ID.
func (m *Mover) Moves(from int64) []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Status
	for _, mv := range m.moves {
		if mv.ID >= from {
			out = append(out, m.status(mv))
		}
	}
	return out
}

// status is one of Moves. m.mu is held.
func (m *Mover) status(mv *store.Move) Status {
	s := Status{
		ID: mv.ID, Slots: mv.Slots.String(), From: mv.From, To: mv.To, Phase: mv.Phase, Paused: mv.Paused, Error: mv.Error, Rate: mv.Rate,
		Started: Time(mv.Started), Flipped: Time(mv.Flipped), Ended: Time(mv.Ended),
		Total: mv.Total, Rows: mv.Rows, Bytes: mv.Bytes, Followed: mv.Followed, Compared: mv.Compared, Deleted: mv.Deleted,
		Holds: mv.Holds, HeldFor: mv.HeldFor,
	}
	if mv != m.current() || mv.Phase == store.MoveWaiting || mv.Paused {
		return s
	}
	if from, err := m.shard(mv.From); err == nil && mv.Phase.Follows() {
		s.Lag = max(0, m.cfg.Lanes.Position(from)-m.progress.followed)
	}
	rate := m.progress.rate()
	s.PerSecond = int64(rate)
	left := int64(0)
	switch mv.Phase {
	case store.MoveCopying:
		left = mv.Total - mv.Rows
	case store.MoveVerifying:
		left = mv.Rows - mv.Compared
	}
	if left > 0 && rate > 0 {
		s.Left = int64(float64(left)/rate) + 1
	}
	return s
}

// progress is how fast rows go. Guarded by Mover.mu.
type progress struct {
	followed int64
	marks    []mark // of the last seconds
}

type mark struct {
	at   time.Time
	rows int64
}

const progressFor = 5 * time.Second

// count adds rows that were worked on.
func (p *progress) count(n int, now time.Time) {
	total := int64(n)
	if len(p.marks) > 0 {
		total += p.marks[len(p.marks)-1].rows
	}
	p.marks = append(p.marks, mark{now, total})
	old := 0
	for old < len(p.marks)-2 && now.Sub(p.marks[old].at) > progressFor {
		old++
	}
	p.marks = slices.Delete(p.marks, 0, old)
}

func (p *progress) rate() float64 {
	if len(p.marks) < 2 {
		return 0
	}
	first, last := p.marks[0], p.marks[len(p.marks)-1]
	d := last.at.Sub(first.at)
	if d <= 0 {
		return 0
	}
	return float64(last.rows-first.rows) / d.Seconds()
}

type metrics struct {
	rows     prometheus.Counter
	failures prometheus.Counter
	held     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rows:     prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_move_rows_total", Help: "Rows copied because their slots move to another shard."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "roomtide_move_failures_total", Help: "Steps of moving slots that failed and were tried again."}),
		held: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roomtide_move_hold_seconds", Help: "For how long changes of slots were held back while these passed to another shard.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.rows, m.failures, m.held)
	}
	return m
}
