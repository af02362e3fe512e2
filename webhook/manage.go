package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/wire"
)

// stored returns all endpoints as they are stored.
func (s *Service) stored(ctx context.Context) ([]*Endpoint, error) {
	records, err := s.cfg.Store.Control.Records(ctx, collection, "", 2*maxEndpoints)
	if err != nil {
		return nil, err
	}
	all := make([]*Endpoint, len(records))
	for i, r := range records {
		if all[i], err = decodeEndpoint(r); err != nil {
			return nil, chat.Wrap(chat.Internal, "webhook.stored", err)
		}
	}
	return all, nil
}

// find returns an endpoint. NotFound.
func (s *Service) find(ctx context.Context, id string) (*Endpoint, error) {
	all, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(e *Endpoint) bool { return e.ID == id })
	if i < 0 {
		return nil, chat.E(chat.NotFound, "there is no such webhook")
	}
	return all[i], nil
}

// save stores an endpoint. editing is held.
func (s *Service) save(ctx context.Context, e *Endpoint) error {
	if err := e.check(); err != nil {
		return err
	}
	return s.cfg.Store.Control.SaveRecords(ctx, collection, e.encode())
}

// edit runs f, which reads what is stored and stores what it makes of that, and has the
// consumers follow. Edits of one node do not overlap. Those of two nodes may: the store
// replaces a record whatever it is by then.
func (s *Service) edit(ctx context.Context, f func() error) error {
	err := func() error {
		s.editing.Lock()
		defer s.editing.Unlock()
		return f()
	}()
	if err != nil {
		return err
	}
	return s.refresh(ctx)
}

// change edits an endpoint, and returns it as it is stored then. NotFound.
func (s *Service) change(ctx context.Context, id string, f func(*Endpoint) error) (e *Endpoint, err error) {
	err = s.edit(ctx, func() error {
		if e, err = s.find(ctx, id); err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
		return s.save(ctx, e)
	})
	return e, err
}

// Time is a time as the API shows it: in UTC, with milliseconds.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// Status is an endpoint and how it is doing. It has no secret.
type Status struct {
	ID       string            `json:"id"`
	URL      string            `json:"url"`
	Kinds    []hostevents.Kind `json:"kinds"`
	Rooms    []string          `json:"rooms"`
	Batch    int               `json:"batch"`
	Enabled  bool              `json:"enabled"`
	Insecure bool              `json:"insecure,omitempty"`
	Secrets  int               `json:"secrets"` // 2 while they are exchanged
	Created  Time              `json:"created"`
	Reason   string            `json:"reason,omitempty"`

	Lag     int64  `json:"lag"`  // commits that the node that answers has still to deliver from
	Dead    int    `json:"dead"` // events that were given up
	Failing *Time  `json:"failing_since,omitempty"`
	Error   string `json:"error,omitempty"` // the last failure, as the node that answers knows it
}

// Status returns an endpoint as operators see it.
func (s *Service) status(ctx context.Context, e *Endpoint) (Status, error) {
	st := Status{
		ID: e.ID, URL: e.URL, Kinds: e.Kinds, Rooms: e.Rooms, Batch: e.Batch, Enabled: e.Enabled, Insecure: e.Insecure,
		Secrets: len(e.Secrets), Created: Time{time.UnixMilli(e.Created)}, Reason: e.Reason,
	}
	if st.Kinds == nil {
		st.Kinds = []hostevents.Kind{}
	}
	if st.Rooms == nil {
		st.Rooms = []string{}
	}
	if c := s.courier(e.ID); c != nil {
		for lag := range maps.Values(s.outbox.Lags(c.name)) {
			st.Lag += lag
		}
		if failing, since, last := c.breaker.state(); failing {
			st.Failing, st.Error = &Time{since}, last
		}
	}
	var err error
	st.Dead, err = s.cfg.Store.Control.CountRecords(ctx, deadOf+e.ID)
	return st, err
}

// List returns all endpoints, in the order in which they were made.
func (s *Service) List(ctx context.Context) ([]Status, error) {
	all, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *Endpoint) int { return int(a.Created - b.Created) })
	list := make([]Status, len(all))
	for i, e := range all {
		if list[i], err = s.status(ctx, e); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Order says what an endpoint is to be. nil: as it is, or the default.
type Order struct {
	URL      *string
	Kinds    *[]string
	Rooms    *[]string
	Batch    *int
	Enabled  *bool
	Insecure *bool
	Secret   *string // a new one that comes first
	Rotate   bool    // the server makes a new one; the one before counts on
	OneOnly  bool    // the second secret counts no more
}

// apply changes e.
func (o *Order) apply(e *Endpoint, now time.Time) {
	set(&e.URL, o.URL)
	set(&e.Rooms, o.Rooms)
	set(&e.Batch, o.Batch)
	set(&e.Insecure, o.Insecure)
	if o.Kinds != nil {
		e.Kinds = make([]hostevents.Kind, len(*o.Kinds))
		for i, k := range *o.Kinds {
			e.Kinds[i] = hostevents.Kind(strings.TrimSpace(k))
		}
	}
	if o.OneOnly {
		e.Secrets = e.Secrets[:min(1, len(e.Secrets))]
	}
	if o.Rotate {
		e.Secrets = append([]string{NewSecret()}, e.Secrets[:min(1, len(e.Secrets))]...)
	}
	if o.Secret != nil {
		e.Secrets = append([]string{*o.Secret}, e.Secrets[:min(1, len(e.Secrets))]...)
	}
	if o.Enabled != nil && *o.Enabled != e.Enabled {
		e.Enabled, e.Reason = *o.Enabled, ""
		e.begin(now, now)
	}
}

// begin has delivery begin with events of a time.
func (e *Endpoint) begin(from, now time.Time) {
	e.From, e.Ordered = from.UnixMilli(), now.UnixMilli()
	e.Epoch++
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// Add makes an endpoint, which gets what happens from now on, and returns it with its
// secret.
func (s *Service) Add(ctx context.Context, o Order) (Status, string, error) {
	now := s.cfg.Now()
	e := &Endpoint{ID: strings.ToLower(rand.Text()[:10]), Batch: 1, Enabled: true, Created: now.UnixMilli()}
	e.begin(now, now)
	o.Rotate = o.Secret == nil
	o.apply(e, now)
	err := s.edit(ctx, func() error {
		all, err := s.stored(ctx)
		if err != nil {
			return err
		}
		if len(all) >= maxEndpoints {
			return chat.E(chat.Conflict, "there are "+strconv.Itoa(maxEndpoints)+" webhooks already, and there can be no more")
		}
		return s.save(ctx, e)
	})
	if err != nil {
		return Status{}, "", err
	}
	st, err := s.status(ctx, e)
	return st, e.Secrets[0], err
}

// Change changes an endpoint. secret is the new one if there is one. NotFound.
func (s *Service) Change(ctx context.Context, id string, o Order) (st Status, secret string, err error) {
	e, err := s.change(ctx, id, func(e *Endpoint) error {
		o.apply(e, s.cfg.Now())
		return nil
	})
	if err != nil {
		return st, "", err
	}
	if o.Rotate || o.Secret != nil {
		secret = e.Secrets[0]
	}
	st, err = s.status(ctx, e)
	return st, secret, err
}

// Remove deletes an endpoint, with what it did not get. NotFound.
func (s *Service) Remove(ctx context.Context, id string) error {
	err := s.edit(ctx, func() error {
		if _, err := s.find(ctx, id); err != nil {
			return err
		}
		return s.cfg.Store.Control.DropRecords(ctx, collection, id)
	})
	if err != nil {
		return err
	}
	_, err = s.forget(ctx, id)
	return err
}

// Replay has everything delivered again that has happened since a time, as far as it is
// kept (Config.History), with the ids that it had. What is waiting comes in its place. It
// enables the endpoint. NotFound.
func (s *Service) Replay(ctx context.Context, id string, from time.Time) (Status, error) {
	e, err := s.change(ctx, id, func(e *Endpoint) error {
		now := s.cfg.Now()
		if from.After(now) {
			return chat.E(chat.Invalid, "from is in the future")
		}
		e.begin(from, now)
		e.Enabled, e.Reason = true, ""
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	return s.status(ctx, e)
}

// errChanged says that an endpoint is not any more the one that has answered.
var errChanged = errors.New("the webhook was changed meanwhile")

// disable is what an endpoint asks for with 410. It returns before that is done; failed is
// called if it was not.
func (s *Service) disable(e *Endpoint, failed func()) {
	s.disabling.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := s.change(ctx, e.ID, func(off *Endpoint) error {
			if off.Epoch != e.Epoch || off.URL != e.URL {
				return errChanged
			}
			off.Enabled, off.Reason = false, "the endpoint answered 410: it wants nothing any more"
			s.cfg.Log.Warn("webhook: disabled, as the endpoint answers 410", "webhook", e.ID, "host", host(e.URL))
			return nil
		})
		if err == nil {
			return
		}
		failed()
		if !errors.Is(err, errChanged) && chat.KindOf(err) != chat.NotFound {
			s.cfg.Log.Warn("webhook: an endpoint that answers 410 was not disabled", "webhook", e.ID, "err", err)
		}
	})
}

// Tested is what came of a test.
type Tested struct {
	OK    bool   `json:"ok"`
	Took  int64  `json:"took"` // milliseconds
	Error string `json:"error,omitempty"`
}

// Test sends an event of the type "webhook.test" now, and says what came of it. NotFound.
func (s *Service) Test(ctx context.Context, id string) (Tested, error) {
	e, err := s.find(ctx, id)
	if err != nil {
		return Tested{}, err
	}
	now := s.cfg.Now()
	eventID := "test_" + rand.Text()
	body := append(wire.AppendHead(nil, "webhook.test", eventID, now.UnixMilli()), `,"data":{}}`...)
	_, err = s.caller.call(ctx, e.URL, e.Secrets, eventID, body)
	t := Tested{OK: err == nil, Took: s.cfg.Now().Sub(now).Milliseconds()}
	var f *failure
	if errors.As(err, &f) {
		t.Error = f.Error()
	}
	return t, nil
}
