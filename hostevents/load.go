package hostevents

import (
	"cmp"
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Source loads events.
type Source struct {
	// Set once.
	store      *store.Store
	deployment string
}

// NewSource returns the source of events of the deployment with the given id
// (store.Control).
func NewSource(st *store.Store, deployment string) *Source { return &Source{st, deployment} }

// Load returns the events of the refs, in their order. Unavailable if slots have moved
// meanwhile: the caller tries again. It asks each shard once, and once for each message
// whose reactions have changed: callers bound how many refs they give.
//
// What does not exist any more is shown as deleted: a message of a room that was removed
// has no text and no author.
func (s *Source) Load(ctx context.Context, refs []Ref) ([]Event, error) {
	rows, err := s.rows(ctx, refs)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(refs))
	for i := range refs {
		r := &refs[i]
		e := &events[i]
		*e = Event{Ref: *r, ID: r.ID(s.deployment)}
		switch {
		case r.Fact != nil: // it says everything
		case r.Member != nil:
			e.Member = rows.member(r)
		case r.Seq > 0:
			if e.Message, err = s.message(ctx, rows, r); err != nil {
				return nil, err
			}
		default:
			e.Info = rows.room(r)
		}
		if e.Time == 0 && e.Message != nil {
			e.Time = e.Message.Time
		}
	}
	return events, nil
}

// found is the rows that events are about, by their keys.
type found struct {
	messages map[store.RowKey]*chat.Message
	members  map[store.RowKey]*chat.Member
	rooms    map[store.RowKey]*chat.Room
}

func (r *Ref) key() store.RowKey {
	switch {
	case r.Member != nil:
		return store.KeyOf(r.Member)
	case r.Seq > 0:
		return store.RowKey{Table: store.TableMessages, ID: string(r.Room), Seq: r.Seq}
	}
	return store.RowKey{Table: store.TableRooms, ID: string(r.Room)}
}

// rows reads the rows of the refs where they are now.
func (s *Source) rows(ctx context.Context, refs []Ref) (*found, error) {
	f := &found{map[store.RowKey]*chat.Message{}, map[store.RowKey]*chat.Member{}, map[store.RowKey]*chat.Room{}}
	keys := map[int][]store.RowKey{}
	version := s.store.MapVersion()
	for i := range refs {
		if refs[i].Fact != nil {
			continue
		}
		shard := s.store.ShardOf(refs[i].Room.Slot())
		keys[shard] = append(keys[shard], refs[i].key())
	}
	for shard, ks := range keys {
		rows, err := s.store.Shards()[shard].RowsByKey(ctx, ks)
		if err != nil {
			return nil, err
		}
		index(f.messages, rows.Messages)
		index(f.members, rows.Members)
		index(f.rooms, rows.Rooms)
	}
	if s.store.MapVersion() != version {
		return nil, &chat.Error{Kind: chat.Unavailable, Op: "hostevents.load", Text: "rooms have moved meanwhile"}
	}
	return f, nil
}

func index[R store.Row](by map[store.RowKey]*R, rows []R) {
	for i := range rows {
		by[store.KeyOf(&rows[i])] = &rows[i]
	}
}

// message is the message of a ref, with its reactions if they are what has changed.
func (s *Source) message(ctx context.Context, rows *found, r *Ref) (*chat.Message, error) {
	m := chat.Message{Room: r.Room, Seq: r.Seq, Time: r.Time, Deleted: true}
	if row := rows.messages[r.key()]; row != nil {
		m = *row
	}
	m.Rev = r.Rev
	if r.Kind != ReactionChanged || m.Deleted {
		return &m, nil
	}
	ms, _, err := s.store.Room(r.Room).Messages(ctx, r.Room, store.Page{After: cmp.Or(r.Seq-1, store.FromStart), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(ms) > 0 && ms[0].Seq == r.Seq {
		m.Reactions = ms[0].Reactions
	}
	return &m, nil
}

// member is the member row after the change, with all there is to it if it has not changed
// again since.
func (f *found) member(r *Ref) *chat.Member {
	if row := f.members[r.key()]; row != nil && row.Rev == r.Rev {
		return row
	}
	return r.Member
}

func (f *found) room(r *Ref) *chat.Room {
	room := chat.Room{ID: r.Room, Deleted: true}
	if row := f.rooms[r.key()]; row != nil {
		room = *row
	}
	room.Rev = r.Rev
	return &room
}
