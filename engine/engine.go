// Package engine is what a user can do: one file per verb.
//
// The engine checks what can be checked without the lane of the room (ids,
// limits, rates), answers from the store what is only read, and hands every
// durable change to the lanes, which apply the rules of the room. It knows nothing
// of connections: transports name the speaker (Actor) and get wire replies.
//
// A durable change goes through Submit or Do, which call the prepare function of
// its type, in the file named after the verb. Joining and read marks are methods,
// as they read what they answer; so is everything that changes nothing.
package engine

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/roomcache"
	"github.com/roomtide/roomtide/store"
)

// Actor is the speaker in whose name something is done.
type Actor struct {
	User chat.UserID // empty only for a Server that speaks for no user
	Name string      // display name; empty: the user id

	// Guest says that Name was not said by the host: it counts for the rooms that the
	// actor joins. The name of other users is that of their profile (profile.go).
	Guest bool

	// Server is the host's back end: it stands above the roles of rooms and
	// needs no membership.
	Server bool

	// Network is where a guest comes from, whose name costs nothing: what it does
	// counts for its network too. nil: not counted.
	Network *netip.Prefix

	// Granted reports whether the actor's token grants access to a room; nil: to
	// none.
	Granted func(chat.RoomID) bool
}

func (a *Actor) granted(room chat.RoomID) bool {
	return a.Server || a.Granted != nil && a.Granted(room)
}

// Presence answers which users are online (presence.Tracker).
type Presence interface {
	// Online returns up to limit users who are online in the room, and how many
	// there are.
	Online(ctx context.Context, room chat.RoomID, limit int) (chat.Online, error)
}

// Config configures an Engine. Store, Lanes, Presence and Publish are required.
type Config struct {
	Store    *store.Store
	Rooms    *roomcache.Cache // what is read of rooms by joins and questions; nil: the store alone
	Lanes    *lane.Lanes
	Presence Presence
	// Publish tells the event's room what is not stored. It does not wait, and
	// what it tells may get lost.
	Publish func(ev *chat.Event)

	// Reach says how users are connected, on all nodes; all is false if a node has not said
	// so in time, and its users seem to be away.
	Reach func(ctx context.Context, users []chat.UserID) (reach []chat.Reach, all bool)

	// Targets check what devices register with; nil: there is no push, and none can.
	Targets Targets

	Limits  chat.Limits
	Rates   Rates
	Cluster bool // other nodes are told what is spent of Rates (Spent), and tell it (Charge)

	// BeforeMessage is asked about each message and edit before it goes to its lane: it may
	// refuse it with an error, and replace its text and data. It may take a while, until ctx
	// ends. nil: none is asked about.
	BeforeMessage func(ctx context.Context, m *Before) error

	// Claimed is called when an id has become one of the application's users
	// (Claim), to end the connections of guests; nil: nothing is done.
	Claimed func(chat.UserID)

	// UserChanged is called when this node has changed what is kept of a user (profile,
	// access), for other nodes to forget what they remember (ForgetUser) and, if the id
	// was claimed, to end the connections of guests. It does not block. nil: nothing is
	// done.
	UserChanged func(user chat.UserID, claimed bool)

	// Hears reports whether ForgetUser is called now for what other nodes change. While
	// it is not, the store is asked for each user that authenticates. nil: there are no
	// other nodes.
	Hears func() bool

	// UsersMakeRooms lets users make a room by joining it; otherwise only the
	// host's back end makes rooms.
	UsersMakeRooms bool

	// Patience is how long an answer takes at most; 0: 10 s.
	Patience time.Duration
	// AfterLate runs behind an outcome that is told because patience has ended, and not by
	// a lane, for acks that wait for it (hub.Kick). nil: nothing is done.
	AfterLate func()

	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Engine does what users ask. Safe for concurrent use.
type Engine struct {
	cfg     Config
	rates   *rates
	reads   *limit.Keyed[chat.UserID] // questions that are answered now
	joins   *byShard                  // joins that read the room
	lookups *byShard                  // reads of what is kept of a user, to authenticate or to join
	access  access

	profiles profiles
	imports  chan struct{} // holds a token for each call of Import that works
	before   *before       // nil: messages are not asked about
}

// New returns an Engine.
func New(cfg Config) *Engine {
	if cfg.Rooms == nil {
		cfg.Rooms = roomcache.New(roomcache.Config{Store: cfg.Store})
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Limits == (chat.Limits{}) {
		cfg.Limits = chat.DefaultLimits()
	}
	if cfg.Patience <= 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.AfterLate == nil {
		cfg.AfterLate = func() {}
	}
	if cfg.Claimed == nil {
		cfg.Claimed = func(chat.UserID) {}
	}
	if cfg.UserChanged == nil {
		cfg.UserChanged = func(chat.UserID, bool) {}
	}
	if cfg.Hears == nil {
		cfg.Hears = func() bool { return true }
	}
	e := &Engine{
		cfg: cfg, rates: newRates(cfg.Rates, cfg.Cluster, cfg.Now, cfg.Registerer),
		reads: limit.NewKeyed[chat.UserID](readsAtOnce, readsWaiting, "you are asking too much at once"),
		joins: newByShard(&cfg, "joins"), lookups: newByShard(&cfg, "user_lookups"),
		access: newAccess(), profiles: newProfiles(), imports: make(chan struct{}, importsAtOnce),
	}
	before := newBefore(&e.cfg)
	if cfg.BeforeMessage != nil {
		e.before = before
	}
	return e
}

// Limits are the limits in force.
func (e *Engine) Limits() *chat.Limits { return &e.cfg.Limits }

// checkRoom is what a room is checked for that may exist. The lane checks the id of
// one that is made.
func (e *Engine) checkRoom(room chat.RoomID) error {
	return chat.CheckRef("room", string(room), e.cfg.Limits.IDBytes)
}

// checkRead is what every question about a room is checked for: the id makes sense
// and the actor may read the room. A room that does not exist and one
// the actor is not in look the same, unless the room is open to all.
func (e *Engine) checkRead(ctx context.Context, a *Actor, room chat.RoomID) error {
	_, err := e.reader(ctx, a, room)
	return err
}

// reader is checkRead, and returns the actor's membership: none for the back end.
func (e *Engine) reader(ctx context.Context, a *Actor, room chat.RoomID) (chat.Member, error) {
	if err := e.checkRoom(room); err != nil {
		return chat.Member{}, err
	}
	if a.Server {
		return chat.Member{}, nil
	}
	return e.mayRead(e.cfg.Store.Room(room).Member(ctx, room, a.User))
}

// look is reader for a question that reads more of the room, from what is returned.
func (e *Engine) look(ctx context.Context, a *Actor, room chat.RoomID) (*roomcache.Look, chat.Member, error) {
	if err := e.checkRoom(room); err != nil {
		return nil, chat.Member{}, err
	}
	look := e.cfg.Rooms.Look(ctx, room)
	if a.Server {
		return look, chat.Member{}, nil
	}
	m, err := e.mayRead(look.Member(ctx, a.User))
	return look, m, err
}

// mayRead returns a membership that was read, as it is now, if its user may read the room.
func (e *Engine) mayRead(m chat.Member, err error) (chat.Member, error) {
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return chat.Member{}, err
	}
	m = m.At(e.cfg.Now().UnixMilli())
	return m, chat.CanRead(m.Role)
}
