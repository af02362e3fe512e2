package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/store"
)

const (
	maxDead   = 10_000 // dead letters of an endpoint that are kept
	trimEvery = 100    // dead letters between looks at how many there are
	deadPage  = 100
)

// Dead is an event that was given up. What it is about is read when it is delivered after
// all.
type Dead struct {
	ID     string    `json:"id"` // of the dead letter
	Event  string    `json:"event"`
	Kind   string    `json:"kind"`
	Room   string    `json:"room"`
	Rev    int64     `json:"rev"`
	Time   time.Time `json:"time"`
	Died   time.Time `json:"died"`
	Reason string    `json:"reason"`
}

// letter is a dead letter as it is stored.
type letter struct {
	Ref    hostevents.Ref `json:"ref"`
	Died   int64          `json:"died"` // Unix milliseconds
	Reason string         `json:"reason"`
}

// saveDead keeps events that are given up. Of too many the oldest are dropped.
func (s *Service) saveDead(ctx context.Context, e *Endpoint, refs []hostevents.Ref, reason string) error {
	now := s.cfg.Now().UnixMilli()
	records := make([]store.Record, len(refs))
	for i := range refs {
		body, err := json.Marshal(letter{Ref: refs[i], Died: now, Reason: reason})
		if err != nil {
			return err
		}
		// By time, then in the order of the room. An event that dies twice is one letter.
		records[i] = store.Record{ID: fmt.Sprintf("%013d-%019d-%s", refs[i].Time, refs[i].Rev, refs[i].ID(s.cfg.Deployment)), Body: body}
	}
	if err := s.cfg.Store.Control.SaveRecords(ctx, deadOf+e.ID, records...); err != nil {
		return err
	}
	if s.sinceTrim.Add(int64(len(refs))) < trimEvery {
		return nil
	}
	s.sinceTrim.Store(0)
	return s.trim(ctx, e)
}

// trim drops the oldest dead letters of an endpoint that has too many.
func (s *Service) trim(ctx context.Context, e *Endpoint) error {
	n, err := s.cfg.Store.Control.CountRecords(ctx, deadOf+e.ID)
	if err != nil || n <= maxDead {
		return err
	}
	oldest, err := s.cfg.Store.Control.Records(ctx, deadOf+e.ID, "", n-maxDead)
	if err != nil {
		return err
	}
	s.metrics.lost(e.ID, len(oldest))
	return s.dropDead(ctx, e.ID, oldest)
}

func (s *Service) dropDead(ctx context.Context, id string, records []store.Record) error {
	ids := make([]string, len(records))
	for i := range records {
		ids[i] = records[i].ID
	}
	return s.cfg.Store.Control.DropRecords(ctx, deadOf+id, ids...)
}

// DeadLetters returns a page of what an endpoint did not get, the oldest event first, behind
// the dead letter after; more says that there are others. NotFound.
func (s *Service) DeadLetters(ctx context.Context, id, after string) (page []Dead, more bool, err error) {
	if _, err := s.find(ctx, id); err != nil {
		return nil, false, err
	}
	records, err := s.cfg.Store.Control.Records(ctx, deadOf+id, after, deadPage+1)
	if err != nil {
		return nil, false, err
	}
	more = len(records) > deadPage
	page = []Dead{}
	for _, r := range records[:min(len(records), deadPage)] {
		l, err := readLetter(r)
		if err != nil {
			return nil, false, err
		}
		page = append(page, Dead{
			ID: r.ID, Event: l.Ref.ID(s.cfg.Deployment), Kind: string(l.Ref.Kind), Room: string(l.Ref.Room), Rev: int64(l.Ref.Rev),
			Time: time.UnixMilli(l.Ref.Time).UTC(), Died: time.UnixMilli(l.Died).UTC(), Reason: l.Reason,
		})
	}
	return page, more, nil
}

func readLetter(r store.Record) (*letter, error) {
	l := &letter{}
	if err := json.Unmarshal(r.Body, l); err != nil {
		return nil, &chat.Error{Kind: chat.Internal, Op: "webhook.dead", Subject: r.ID, Err: err}
	}
	return l, nil
}

// Retried is what came of delivering dead letters.
type Retried struct {
	Delivered int    `json:"delivered"`
	Left      int    `json:"left"`
	Error     string `json:"error,omitempty"` // why it has stopped
}

// retryTime is how long one call of Retry takes, about: the caller calls again for the rest.
const retryTime = 10 * time.Second

// Retry delivers the dead letters of an endpoint, the oldest event first, until one fails or
// time is over. What is delivered is a dead letter no more. NotFound.
func (s *Service) Retry(ctx context.Context, id string) (Retried, error) {
	var out Retried
	e, err := s.find(ctx, id)
	if err != nil {
		return out, err
	}
	for until := s.cfg.Now().Add(retryTime); out.Error == "" && s.cfg.Now().Before(until); {
		records, err := s.cfg.Store.Control.Records(ctx, deadOf+id, "", e.Batch)
		if err != nil {
			return out, err
		}
		if len(records) == 0 {
			break
		}
		n, err := s.retry(ctx, e, records)
		if err != nil {
			out.Error = err.Error()
		}
		out.Delivered += n
	}
	out.Left, err = s.cfg.Store.Control.CountRecords(ctx, deadOf+id)
	return out, err
}

// retry makes one request, with the first of the dead letters.
func (s *Service) retry(ctx context.Context, e *Endpoint, records []store.Record) (int, error) {
	refs := make([]hostevents.Ref, len(records))
	for i, r := range records {
		l, err := readLetter(r)
		if err != nil {
			return 0, err
		}
		refs[i] = l.Ref
	}
	events, err := s.source.Load(ctx, refs)
	if err != nil {
		return 0, err
	}
	eventID, body, n := pack(events, e.Batch > 1)
	if _, err := s.caller.call(ctx, e.URL, e.Secrets, eventID, body); err != nil {
		return 0, err
	}
	s.metrics.delivered(e.ID, events[:n], s.cfg.Now())
	return n, s.dropDead(ctx, e.ID, records[:n])
}

// DropDead forgets all dead letters of an endpoint, and returns how many. NotFound.
func (s *Service) DropDead(ctx context.Context, id string) (int, error) {
	if _, err := s.find(ctx, id); err != nil {
		return 0, err
	}
	return s.forget(ctx, id)
}

func (s *Service) forget(ctx context.Context, id string) (n int, err error) {
	for {
		records, err := s.cfg.Store.Control.Records(ctx, deadOf+id, "", 500)
		if err != nil || len(records) == 0 {
			return n, err
		}
		if err := s.dropDead(ctx, id, records); err != nil {
			return n, err
		}
		n += len(records)
	}
}
