package follow

import (
	"context"
	"log/slog"
	"time"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/source"
)

// A Follower yields the keys of rows that may have changed. Its calls do not overlap,
// except Lag, which any goroutine may call.
type Follower interface {
	// Next waits for keys and returns them with the position behind them. The caller
	// reads these rows, applies them, stores the position, and calls Next again: with
	// that call it says that what the call before returned will not be asked for again.
	// A follower that is opened at a stored position misses nothing, and may return keys
	// again. A key may belong to no row: it was deleted, or never counted. Each row can
	// be read, as it was left by the change or later, before Next returns its key.
	//
	// Without keys, Next returns because the position alone went on.
	//
	// An error of a retryable kind (chat.Kind) is over when the source answers again:
	// call again after a pause, nothing is missed. After any other error the follower
	// goes no further, and the text says what to do.
	Next(ctx context.Context) (keys []source.Key, position string, err error)

	// Lag is for how long a change may have been made in the source and not been
	// returned yet. It grows while Next is not called.
	Lag() time.Duration

	// Close ends connections and goroutines. A call of Next that waits ends with an
	// error.
	Close() error
}

// Known is what the caller holds of the source. Sweeps and deletions are compared with it.
type Known interface {
	// KnownKeys returns up to limit keys of rows that the caller holds as not deleted,
	// in an order of its choice that stays the same, after the given key; "" is before
	// all.
	KnownKeys(ctx context.Context, after source.Key, limit int) ([]source.Key, error)
}

// Kind is how a table is followed.
type Kind string

const (
	Binlog   Kind = "binlog"   // row events of MySQL and MariaDB
	Triggers Kind = "triggers" // a table of changes, filled by triggers
	Polling  Kind = "polling"  // questions for new and changed rows
	Nothing  Kind = "nothing"  // files, which are copied and do not change
)

// Kinds are those that follow a database, the one that sees most with the least delay
// first.
var Kinds = []Kind{Binlog, Triggers, Polling}

// Table is one whose rows are messages.
type Table struct {
	Name string // may be qualified: schema.table
	Key  string // the column of its primary key

	// Changed is an indexed column that gets a higher value whenever a row is written,
	// such as updated_at. Empty: a column by one of the usual names is looked for.
	Changed string
}

// Watch is a table whose rows belong to messages: when one changes, the message does.
type Watch struct {
	Name   string
	Column string // holds the message's key, or NULL

	// Prefix stands before the keys that are yielded, where they are none of messages but
	// tell rows of this table. What a poll sees of it is nothing.
	Prefix string
}

// Config says what is followed. The zero value of a duration or number is its default.
type Config struct {
	Source source.Address // of the primary, never a replica
	Secret decode.Secret  // has its password

	Kind   Kind
	Tables []Table // several where messages are spread over tables with one space of keys
	Watch  []Watch

	Known   Known        // nil: deletions are not looked for beyond what Kind sees
	Touches *Touches     // keys that others name; nil: none are named
	Log     *slog.Logger // nil: none

	Interval time.Duration // between two questions for changes: 200 ms
	MaxAge   time.Duration // how long a transaction lasts at most, where open ones cannot be listed: 10 minutes
	Settle   time.Duration // how long a missing key is waited for at least: 10 s
	Sweep    int           // rows a second that are compared in the background: 2000; negative: none
}

// TablesOf are the tables that a source reads messages from.
func TablesOf(s *source.Tables) (tables []Table, watch []Watch) {
	for _, t := range s.Tables() {
		if t.Watch {
			watch = append(watch, Watch{t.Name, t.Key, t.Prefix})
			continue
		}
		tables = append(tables, Table{Name: t.Name, Key: t.Key})
	}
	return tables, watch
}

var discard = slog.New(slog.DiscardHandler)

// Begin returns the position of this moment. A follower that is opened at it yields
// every change that a reader who begins now may not see: the copy of a table begins
// with a call of Begin.
func Begin(ctx context.Context, c Config) (string, error) {
	if c.Kind == Nothing {
		return encodePositions(map[string]string{string(Nothing): ""}), nil
	}
	s, err := dial(ctx, c, c.Kind == Triggers)
	if err != nil {
		return "", err
	}
	defer s.db.Close()
	at, err := s.begin(ctx)
	if err != nil {
		return "", err
	}
	return encodePositions(map[string]string{string(c.Kind): at}), nil
}

// Open opens a follower at a position that Begin or Next has returned: one of the
// configured kind, together with a sweep that finds what it cannot see, and touches. If
// the position is one of another kind, the follower begins now, and all rows are compared.
func Open(ctx context.Context, c Config, position string) (Follower, error) {
	positions, err := decodePositions(position)
	if err != nil {
		return nil, err
	}
	if c.Kind == Nothing {
		return newTogether(nil, positions, func() error { return nil }), nil
	}
	s, err := dial(ctx, c, c.Kind == Triggers)
	if err != nil {
		return nil, err
	}
	all, err := openAll(ctx, s, positions)
	if err != nil {
		s.db.Close()
		return nil, err
	}
	return newTogether(all, positions, s.db.Close), nil
}

// openAll opens what follows a table together. None of them holds anything before it is
// asked for keys.
func openAll(ctx context.Context, s *session, positions map[string]string) (all map[string]Follower, err error) {
	all = map[string]Follower{}
	if s.Touches != nil {
		all["touch"] = &toucher{t: s.Touches}
	}
	if s.Sweep > 0 {
		sweep, err := openSweep(ctx, s)
		if err != nil {
			return nil, err
		}
		all["sweep"], s.unseen = sweep, sweep.Hurry
	}
	at, ok := positions[string(s.Kind)]
	if !ok {
		if s.unseen == nil {
			return nil, invalid("open", "", "the position is not one of "+string(s.Kind)+", and without a sweep nothing finds what was changed since")
		}
		if at, err = s.begin(ctx); err != nil {
			return nil, err
		}
		s.unseen("another way to follow was configured")
	}
	all[string(s.Kind)], err = openers[s.Kind](ctx, s, at)
	return all, err
}

var openers = map[Kind]func(context.Context, *session, string) (Follower, error){
	Binlog:   func(ctx context.Context, s *session, at string) (Follower, error) { return openBinlog(ctx, s, at) },
	Triggers: func(ctx context.Context, s *session, _ string) (Follower, error) { return openQueue(ctx, s) },
	Polling:  func(ctx context.Context, s *session, at string) (Follower, error) { return openPoll(ctx, s, at) },
}

// begin is the position of this moment.
func (s *session) begin(ctx context.Context) (string, error) {
	switch s.Kind {
	case Binlog:
		return beginBinlog(ctx, s)
	case Triggers:
		return "", checkQueue(ctx, s)
	case Polling:
		return beginPoll(ctx, s)
	}
	return "", invalid("open", "", "a table is followed by binlog, triggers or polling, not by "+string(s.Kind))
}
