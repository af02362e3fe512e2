package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
)

// Seen is how the stream of a queue is.
type Seen struct {
	Missing  bool     `json:"missing"` // it was not made yet, and the rest is zero
	Replicas int      `json:"replicas"`
	Current  int      `json:"current"` // servers that have all of it
	Behind   []string `json:"behind"`  // the others, and by how much
	Bytes    int64    `json:"bytes"`
	MaxBytes int64    `json:"max_bytes"`
	Messages uint64   `json:"messages"`
}

// Look tells how the stream of a queue is, and changes nothing. An error says what to do:
// there is no JetStream, it does not answer, or the stream is not as the queue needs it.
func Look(ctx context.Context, cfg Config) (Seen, error) {
	if err := cfg.fill(); err != nil {
		return Seen{}, err
	}
	api, err := js.New(cfg.NATS)
	if err != nil {
		return Seen{}, chat.Wrap(chat.Invalid, "queue.look", err)
	}
	q := &Queue{cfg: cfg, js: api, name: StreamName(cfg.Prefix), began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, cfg.timing.answer)
	defer cancel()
	info, err := q.info(ctx)
	if errors.Is(err, js.ErrStreamNotFound) {
		return Seen{Missing: true}, nil
	}
	if err != nil {
		return Seen{}, q.explainSetup(err)
	}
	seen := Seen{
		Replicas: info.Config.Replicas, Current: 1, Bytes: int64(info.State.Bytes), MaxBytes: info.Config.MaxBytes, Messages: info.State.Msgs,
	}
	if info.Cluster != nil {
		for _, r := range info.Cluster.Replicas {
			if r.Current && !r.Offline {
				seen.Current++
				continue
			}
			by := "away"
			if !r.Offline {
				by = fmt.Sprintf("%d operations behind", r.Lag)
			}
			seen.Behind = append(seen.Behind, r.Name+" ("+by+")")
		}
	}
	return seen, q.differs(&info.Config)
}

// NearlyFull reports whether there is little space left.
func (s *Seen) NearlyFull() bool {
	return s.MaxBytes > 0 && float64(s.Bytes) > nearlyFull*float64(s.MaxBytes)
}
