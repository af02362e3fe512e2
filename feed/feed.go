// Package feed lets a back end read what was committed, at its own pace: it pulls where
// webhooks push. A feed has a name, and under it a cursor in each shard, like a consumer of
// the outbox, so that nothing is trimmed before the back end has said that it has it.
//
// A read answers with events and with the place behind them. The next read says that place,
// which acknowledges everything before it. So each event is delivered at least once, and
// those of one room in the order of their revs; an event has an id that does not change.
//
// A feed has all kinds of events but those that happen only if they are asked for
// (hostevents.Kind.Asked): those of users who come and go are in a feed that is made with them.
//
// A feed that is not read keeps entries of the outbox. It is dropped by Drop, or after Keep
// in which there was something to read and nothing was acknowledged.
package feed

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/store"
)

const (
	// Prefix begins the name of a feed's cursor in the outbox.
	Prefix = "feed:"

	// withUsers ends that of a feed with the users who come and go. Names have no +.
	withUsers = "+users"

	// Keep is how long a feed keeps what is not acknowledged.
	Keep = 7 * 24 * time.Hour

	theLane     store.LaneID = 0
	readEntries              = 64                     // of a shard, at a time
	lookEvery                = 250 * time.Millisecond // for commits of other nodes
	sweepEvery               = time.Hour
	attendEvery              = 5 * time.Second // looks for feeds with users
	maxFeeds                 = 32
	nameBytes                = 64
)

// Lanes is what feeds need of lane.Lanes, where the methods are specified.
type Lanes interface {
	Notify(shard int, c chan<- struct{})
	Forget(shard int, c chan<- struct{})
	SaveCursors(ctx context.Context, shard int, cursors ...store.Cursor) error
	ForwardCursors(ctx context.Context, shard int, cursors ...store.Cursor) error
}

// Config configures Feeds. Store, Lanes and Events are required.
type Config struct {
	Store  *store.Store
	Lanes  Lanes
	Events *hostevents.Source
	Now    func() time.Time
	Log    *slog.Logger
}

// Feeds are the feeds of a deployment. Several nodes may have them open. Safe for
// concurrent use.
type Feeds struct {
	cfg      Config
	stop     context.CancelFunc
	done     sync.WaitGroup
	attended atomic.Bool
}

// Info is a feed, and how far it has been acknowledged.
type Info struct {
	Name  string
	At    string // the place, as Read has returned it
	Users bool   // it has the users who come and go
}

// Page is what a read answers with.
type Page struct {
	Events []hostevents.Event
	Next   string // the place behind them
}

// Open begins to look for feeds that are not read, until Close.
func Open(cfg Config) *Feeds {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Feeds{cfg: cfg, stop: stop}
	f.done.Go(func() { f.sweep(ctx) })
	f.done.Go(func() { f.attend(ctx) })
	return f
}

// Close ends what Open has begun. Reads end with their contexts.
func (f *Feeds) Close() {
	f.stop()
	f.done.Wait()
}

// List returns all feeds, by name.
func (f *Feeds) List(ctx context.Context) ([]Info, error) {
	all, err := f.cursors(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(all))
	for name, has := range all {
		infos = append(infos, has.info(name))
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Make makes a feed of what is committed from now on, with or without the users who come and
// go, and returns its place. One that is there stays as it is (created is false), and is a
// Conflict if it was made with another value of users.
func (f *Feeds) Make(ctx context.Context, name string, users bool) (info Info, created bool, err error) {
	if err := checkName(name); err != nil {
		return Info{}, false, err
	}
	all, err := f.cursors(ctx)
	if err != nil {
		return Info{}, false, err
	}
	is, known := all[name]
	if known && is.users != users {
		return Info{}, false, chat.E(chat.Conflict, "the feed is there and was made with another value of users: drop it first, or take another name")
	}
	if known && is.whole() {
		err := f.complete(ctx, name, is)
		return is.info(name), false, err
	}
	if !known && len(all) >= maxFeeds {
		return Info{}, false, chat.E(chat.TooLarge, "there are too many feeds; drop those that nobody reads")
	}
	if !known {
		is = &state{at: place{}, users: users}
	}
	for shard := len(f.cfg.Store.Shards()) - 1; shard >= 0; shard-- { // see whole
		if _, has := is.at[shard]; has {
			continue
		}
		end, err := f.end(ctx, shard)
		if err == nil {
			err = f.save(ctx, shard, store.Cursor{Consumer: is.consumer(name), Position: end})
		}
		if err != nil {
			return Info{}, false, err
		}
		is.at[shard] = end
	}
	if users {
		f.attended.Store(true)
	}
	return is.info(name), !known, nil
}

// Drop forgets a feed, and with it what was kept for it alone. NotFound if there is none.
func (f *Feeds) Drop(ctx context.Context, name string) error {
	all, err := f.cursors(ctx)
	if err != nil {
		return err
	}
	is, known := all[name]
	if !known {
		return noFeed()
	}
	for _, shard := range slices.Sorted(maps.Keys(is.at)) { // see whole
		if err := f.save(ctx, shard, store.Cursor{Consumer: is.consumer(name), Drop: true}); err != nil {
			return err
		}
	}
	return nil
}

// Read acknowledges what is before after, and returns about limit events behind it: at
// least one if there is one, and waits for that as long as wait. A page with fewer than limit has
// all that was committed before the call. Without after it reads from where the feed was
// acknowledged. NotFound if there is no such feed; Conflict if after is
// before what was acknowledged, where events are gone.
func (f *Feeds) Read(ctx context.Context, name, after string, limit int, wait time.Duration) (*Page, error) {
	all, err := f.cursors(ctx)
	if err != nil {
		return nil, err
	}
	is, known := all[name]
	if !known || !is.whole() {
		return nil, noFeed()
	}
	if err := f.complete(ctx, name, is); err != nil {
		return nil, err
	}
	at, err := f.from(is.at, after)
	if err != nil {
		return nil, err
	}
	if err := f.acknowledge(ctx, is.consumer(name), is.at, at); err != nil {
		return nil, err
	}
	committed := make(chan struct{}, 1)
	for shard := range f.cfg.Store.Shards() {
		f.cfg.Lanes.Notify(shard, committed)
		defer f.cfg.Lanes.Forget(shard, committed)
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		events, err := f.page(ctx, at, limit, is.wants)
		if err != nil || len(events) > 0 {
			return &Page{events, at.String()}, err
		}
		select {
		case <-committed:
		case <-look.C:
		case <-over.C:
			return &Page{nil, at.String()}, nil
		case <-ctx.Done():
			return nil, &chat.Error{Kind: chat.Unavailable, Op: "feed.read", Err: ctx.Err()}
		}
	}
}

// page reads the events that are wanted, and moves the place behind them.
func (f *Feeds) page(ctx context.Context, at place, limit int, wants func(hostevents.Kind, chat.RoomID) bool) ([]hostevents.Event, error) {
	var refs []hostevents.Ref
	for waits := true; waits; {
		before := at.clone()
		waits = false
		for shard := range f.cfg.Store.Shards() {
			more, stopped, err := f.entries(ctx, shard, at, limit-len(refs), wants)
			if err != nil {
				return nil, err
			}
			refs, waits = append(refs, more...), waits || stopped
		}
		waits = waits && len(refs) < limit && !maps.Equal(before, at) // once more: the other shard is further
	}
	if len(refs) == 0 {
		return nil, nil
	}
	return f.cfg.Events.Load(ctx, refs)
}

// entries reads about limit events of a shard, and moves the place behind them. It stops in front of
// slots that have come from another shard, until the place is behind what that has for them.
func (f *Feeds) entries(ctx context.Context, shard int, at place, limit int, wants func(hostevents.Kind, chat.RoomID) bool) (refs []hostevents.Ref, stopped bool, err error) {
	for len(refs) < limit {
		entries, err := f.cfg.Store.Shards()[shard].Outbox(ctx, theLane, at[shard], readEntries)
		if err != nil {
			return nil, false, err
		}
		for i := 0; i < len(entries) && len(refs) < limit; i++ {
			if f.early(&entries[i], at) {
				return refs, true, nil
			}
			refs = append(refs, hostevents.Of(&entries[i], wants)...)
			at[shard] = entries[i].Position
		}
		if len(entries) < readEntries {
			break
		}
	}
	return refs, false, nil
}

// early reports whether slots come with the entry of which another shard has something that is
// not read yet.
func (f *Feeds) early(e *store.Entry, at place) bool {
	return slices.ContainsFunc(e.Flips, func(flip store.Flip) bool {
		from, ok := f.cfg.Store.ShardNamed(flip.From)
		return ok && at[from] < flip.Position
	})
}

// from is the place to read from.
func (f *Feeds) from(acked place, after string) (place, error) {
	if after == "" {
		return acked.clone(), nil
	}
	at, err := parsePlace(after)
	if err != nil {
		return nil, err
	}
	for shard, position := range acked {
		if at[shard] < position {
			return nil, chat.E(chat.Conflict, "events behind that place have been acknowledged, and are gone; leave out after to read what follows them")
		}
		if _, has := at[shard]; !has { // the shard was added since
			at[shard] = 0
		}
	}
	if len(at) != len(acked) {
		return nil, errPlace
	}
	return at, nil
}

// acknowledge saves the cursors that have moved.
func (f *Feeds) acknowledge(ctx context.Context, consumer string, acked, at place) error {
	for shard, position := range at {
		if position == acked[shard] {
			continue
		}
		if err := f.save(ctx, shard, store.Cursor{Consumer: consumer, Position: position}); err != nil {
			return err
		}
	}
	return nil
}

func noFeed() error {
	return chat.E(chat.NotFound, "there is no such feed; make it first (PUT). One that nobody reads for a week is dropped")
}
