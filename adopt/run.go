package adopt

import (
	"context"
	"database/sql"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	// past is how old a new row is that makes no event as it comes: it was there before.
	past = time.Minute

	retryMin, retryMax = 250 * time.Millisecond, 10 * time.Second
	beatEvery          = time.Second
)

// Config is what a move needs. All but Kind, Writer and Log are required.
type Config struct {
	Mapping *mapping.Mapping
	Source  source.Source
	Node    *Node
	State   *State

	// Follow says how the source is followed; Known is filled in.
	Follow follow.Config

	// Writer is a pool that may write the old table; nil: nothing is mirrored, and Readonly
	// says why.
	Writer   *sql.DB
	Readonly string

	Engine source.Engine // of the source
	Key    string        // the column of a message's key

	// MakeKeys says that the keys of new rows are UUIDs, and made by the program that inserts them.
	MakeKeys bool

	Interval time.Duration // between looks at which chat is in force; 0: a second
	Log      *slog.Logger
}

// Move moves a chat in.
type Move struct {
	// Set once.
	cfg    Config
	name   string
	log    *slog.Logger
	mirror *mirror // nil: nothing is mirrored
	marks  *marker // nil: no read marks are

	// turn holds a token while one of the two directions compares a row with what is known of
	// it, writes the other side and notes that.
	turn chan struct{}

	mu sync.Mutex

	// Guarded by mu.
	beat  Beat
	state Adoption
}

// New returns a move that has not begun.
func New(cfg Config) (*Move, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Interval == 0 {
		cfg.Interval = beatEvery
	}
	m := &Move{cfg: cfg, name: cfg.Mapping.Source.Name, log: cfg.Log, turn: make(chan struct{}, 1)}
	m.beat.Readonly = cfg.Readonly
	if cfg.Writer != nil {
		inverse, err := invert(cfg.Mapping)
		if err != nil {
			m.beat.Readonly = chat.Public(err).Text
		} else {
			m.mirror = newMirror(m, inverse)
			if reads, _ := invertReads(cfg.Mapping); len(reads) > 0 {
				m.marks = &marker{m.mirror, reads}
			}
		}
	}
	return m, nil
}

// Run copies what was not copied yet, and then keeps both sides in step until ctx ends or
// the move is finished. What fails and may work later is tried again; any other error ends
// it, and says what to do.
func (m *Move) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := m.again(ctx, m.begin); err != nil {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	m.beside(ctx, cancel, &work, m.watch)
	if m.mirror != nil {
		if err := m.again(ctx, m.mirror.prepare); err != nil {
			return err
		}
		m.beside(ctx, cancel, &work, m.mirror.run)
	}
	err := m.again(ctx, m.copy)
	if err == nil {
		err = m.again(ctx, m.copied)
	}
	if err == nil {
		if len(m.cfg.Mapping.Reads) > 0 {
			m.beside(ctx, cancel, &work, m.followMarks)
		}
		err = m.follow(ctx)
	}
	if cause := context.Cause(ctx); cause != nil && cause != context.Canceled { //nolint:errorlint // the plain one
		return cause
	}
	return err
}

// beside runs do in a goroutine that ends with ctx; its error ends all of it.
func (m *Move) beside(ctx context.Context, cancel context.CancelCauseFunc, work *sync.WaitGroup, do func(context.Context) error) {
	work.Go(func() {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
}

// begin makes the feed and notes where the follower begins, before anything is read: what
// is said and written from now on is seen by one or the other.
func (m *Move) begin(ctx context.Context) error {
	now, err := m.cfg.Node.Adoption(ctx)
	if err != nil {
		return err
	}
	if now.Generation > 0 && now.Source != m.name {
		return chat.E(chat.Conflict, "another chat moves in already: "+now.Source)
	}
	if now.State == string(store.AdoptionDone) {
		return chat.E(chat.Conflict, "this move is finished")
	}
	if err := m.cfg.Node.makeFeed(ctx, m.feed()); err != nil {
		return err
	}
	position, err := m.cfg.State.fact(ctx, "position")
	if err == nil && position == "" {
		if position, err = follow.Begin(ctx, m.cfg.Follow); err == nil {
			err = m.cfg.State.setFact(ctx, "position", position)
		}
	}
	if err != nil {
		return err
	}
	if now.Generation == 0 {
		if now, err = m.cfg.Node.setAdoption(ctx, now, m.name, string(store.AdoptionCopying)); err != nil {
			return err
		}
	}
	m.setState(now)
	return m.counted(ctx)
}

// counted takes over what was done in earlier runs.
func (m *Move) counted(ctx context.Context) error {
	b, err := m.cfg.State.Beat(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beat.Total, m.beat.Read, m.beat.Imported, m.beat.Mirrored, m.beat.Marked, m.beat.Late = b.Total, b.Read, b.Imported, b.Mirrored, b.Marked, b.Late
	return err
}

// copied says that the history is there.
func (m *Move) copied(ctx context.Context) error {
	if m.State().State != string(store.AdoptionCopying) {
		return nil
	}
	now, err := m.cfg.Node.advance(ctx, m.State(), m.name, string(store.AdoptionFollowing))
	if err == nil {
		m.setState(now)
	}
	return err
}

// inTurn does something while no other direction compares and writes.
func (m *Move) inTurn(do func() error) error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	return do()
}

// settle has the state know of everything that the mirror has written. It is called in turn.
func (m *Move) settle(ctx context.Context) error {
	if m.mirror == nil {
		return nil
	}
	return m.mirror.settle(ctx)
}

// watch tells how far the move is, and learns which chat is in force.
func (m *Move) watch(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Interval)
	defer tick.Stop()
	done, at := m.Beat().done(), time.Now()
	m.count(func(b *Beat) { b.At = at })
	now := m.Beat()
	if err := m.cfg.State.setBeat(ctx, &now); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		m.mu.Lock()
		m.beat.At = time.Now()
		if passed := m.beat.At.Sub(at); passed > 0 {
			m.beat.Rate = float64(m.beat.done()-done) / passed.Seconds()
		}
		done, at = m.beat.done(), m.beat.At
		b := m.beat
		m.mu.Unlock()
		if err := m.cfg.State.setBeat(ctx, &b); err != nil && ctx.Err() == nil {
			return err
		}
		now, err := m.cfg.Node.Adoption(ctx)
		if err != nil {
			continue // the work itself says so
		}
		m.setState(now)
		if now.State == string(store.AdoptionDone) {
			return ErrFinished
		}
	}
}

// ErrFinished ends a Run when the move was finished.
var ErrFinished = chat.E(chat.Conflict, "the move is finished")

// again runs do until it succeeds, or fails for good.
func (m *Move) again(ctx context.Context, do func(context.Context) error) error {
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		err := do(ctx)
		switch {
		case err == nil:
			m.trouble(nil)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !m.passes(err):
			return err
		}
		m.trouble(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// passes reports whether an error is over when the node or the database is back.
func (m *Move) passes(err error) bool {
	return retryable(err) || chat.KindOf(err) == chat.Internal && source.Passes(err)
}

// trouble notes what is tried again, and logs it the first time.
func (m *Move) trouble(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	m.mu.Lock()
	was := m.beat.Trouble
	m.beat.Trouble = text
	m.mu.Unlock()
	if err != nil && was == "" {
		m.log.Warn("adopt: waits, and tries again", "err", err)
	}
	if err == nil && was != "" {
		m.log.Info("adopt: goes on")
	}
}

func (m *Move) feed() string { return "adopt-" + feedName(m.name) }

// feedName is a name as feeds may have it.
func feedName(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(b) < 40; i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			b = append(b, c)
		default:
			b = append(b, strconv.FormatUint(uint64(c), 16)...)
		}
	}
	return string(b)
}

// State is which chat is in force, as far as it is known.
func (m *Move) State() Adoption {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

func (m *Move) setState(a Adoption) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.State != a.State {
		m.log.Info("adopt: which chat is in force", "state", a.State, "generation", a.Generation)
	}
	m.state = a
}

// Beat is how far the move is.
func (m *Move) Beat() Beat {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.beat
}

// count changes figures of the beat.
func (m *Move) count(change func(*Beat)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.beat)
}
