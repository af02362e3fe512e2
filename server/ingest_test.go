package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/ingest"
)

// oneEntry is a queue with an entry that nothing removes.
type oneEntry struct {
	ingest.Source
	read bool
}

func (q *oneEntry) Read(ctx context.Context, _ int) ([]ingest.Entry, error) {
	if !q.read {
		q.read = true
		return []ingest.Entry{{ID: "1"}}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (q *oneEntry) Close() error { return nil }

// Entries that have no outcome leave most of the drain timeout to what is closed behind them.
func TestQueuesLeaveTimeToDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		s, sent := &Server{cfg: cfg}, 0
		for _, name := range []string{"redis_list", "nats"} {
			s.readers = append(s.readers, ingest.Start(ingest.Config{Name: name, Source: &oneEntry{}, Prepare: func(ingest.Entry) (ingest.Message, error) {
				return ingest.Message{Room: "r", Send: func(context.Context, func(bool, error)) { sent++ }}, nil
			}}))
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(cfg.DrainTimeout))
		defer cancel()
		begun := time.Now()
		s.closeIngest(ctx)
		if took, want := time.Since(begun), time.Duration(cfg.DrainTimeout)/4; sent != 2 || took != want || ctx.Err() != nil {
			t.Errorf("%d entries were sent; closing takes %v, want %v; then: %v", sent, took, want, ctx.Err())
		}
	})
}
