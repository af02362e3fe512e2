package feed

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/store"
)

// place is a position in the outbox of each shard: entries up to it are behind the reader.
// As text it is opaque to clients.
type place map[int]int64

var errPlace = chat.E(chat.Invalid, "after is not the next of an answer before")

func (p place) String() string {
	var b strings.Builder
	for i, shard := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(strconv.Itoa(shard) + "." + strconv.FormatInt(p[shard], 10))
	}
	return b.String()
}

func (p place) clone() place { return maps.Clone(p) }

// parsePlace reads what String has written.
func parsePlace(s string) (place, error) {
	p := place{}
	for part := range strings.SplitSeq(s, "-") {
		a, b, _ := strings.Cut(part, ".")
		shard, err1 := strconv.ParseUint(a, 10, 31)
		position, err2 := strconv.ParseUint(b, 10, 63)
		if _, twice := p[int(shard)]; err1 != nil || err2 != nil || twice {
			return nil, errPlace
		}
		p[int(shard)] = int64(position)
	}
	return p, nil
}

// state is what the cursors say of a feed.
type state struct {
	at    place // how far it was acknowledged
	users bool  // it has the users who come and go
}

// whole reports whether the feed has each shard in front of the last one that it has. Those that
// are missing behind it were added since the feed was made: Make begins with the last shard, and
// Drop with the first, so that a feed that was made or dropped in part lacks another one.
func (s *state) whole() bool {
	for shard := range len(s.at) {
		if _, has := s.at[shard]; !has {
			return false
		}
	}
	return true
}

// complete has a feed that is whole go on in shards that were added since: in front of their
// first entry, so that none of the rooms that are moved there is missed.
func (f *Feeds) complete(ctx context.Context, name string, is *state) error {
	for shard := len(is.at); shard < len(f.cfg.Store.Shards()); shard++ {
		if err := f.save(ctx, shard, store.Cursor{Consumer: is.consumer(name)}); err != nil {
			return err
		}
		is.at[shard] = 0
	}
	return nil
}

// completeAll is complete of all feeds that are whole: of those too that are not read now, for
// which the shards that were added would keep nothing.
func (f *Feeds) completeAll(ctx context.Context) error {
	all, err := f.cursors(ctx)
	for name, is := range all {
		if err == nil && is.whole() {
			err = f.complete(ctx, name, is)
		}
	}
	return err
}

// consumer is the name of the cursors of the feed.
func (s *state) consumer(name string) string {
	if s.users {
		name += withUsers
	}
	return Prefix + name
}

// feedOf reads the name of a cursor, as consumer writes it; ok is false if it is none of a feed.
func feedOf(consumer string) (name string, users, ok bool) {
	name, ok = strings.CutPrefix(consumer, Prefix)
	name, users = strings.CutSuffix(name, withUsers)
	return name, users, ok
}

func (s *state) info(name string) Info { return Info{name, s.at.String(), s.users} }

func (s *state) wants(k hostevents.Kind, _ chat.RoomID) bool { return s.users || !k.Asked() }

// cursors returns what is known of each feed.
func (f *Feeds) cursors(ctx context.Context) (map[string]*state, error) {
	all := map[string]*state{}
	for shard, s := range f.cfg.Store.Shards() {
		cursors, err := s.Cursors(ctx, theLane)
		if err != nil {
			return nil, err
		}
		for _, c := range cursors {
			name, users, ok := feedOf(c.Consumer)
			if !ok {
				continue
			}
			if all[name] == nil {
				all[name] = &state{at: place{}, users: users}
			}
			all[name].at[shard] = c.Position
		}
	}
	return all, nil
}

// save writes a cursor, on whichever node the lane is. Where ctx has ended it is not handed in again:
// it may wait in the lane still.
func (f *Feeds) save(ctx context.Context, shard int, c store.Cursor) error {
	err := f.cfg.Lanes.SaveCursors(ctx, shard, c)
	if chat.KindOf(err) != chat.Unavailable || ctx.Err() != nil {
		return err
	}
	return f.cfg.Lanes.ForwardCursors(ctx, shard, c)
}

// end is the position of the newest entry of a shard, by the entries themselves: the lane
// may be on another node.
func (f *Feeds) end(ctx context.Context, shard int) (at int64, err error) {
	reader := &f.cfg.Store.Shards()[shard].Reader
	for {
		entries, err := reader.Outbox(ctx, theLane, at, readEntries)
		if err != nil {
			return 0, err
		}
		if len(entries) > 0 {
			at = entries[len(entries)-1].Position
		}
		if len(entries) < readEntries {
			return at, nil
		}
	}
}

func checkName(name string) error {
	ok := name != "" && len(name) <= nameBytes && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
	if !ok {
		return chat.E(chat.Invalid, "the name of a feed is up to "+strconv.Itoa(nameBytes)+" of a-z, 0-9, - _ and .")
	}
	return nil
}
