// Package redispresence is the presence driver of several nodes, in Redis 7.0 or
// later, or Valkey.
//
// Each node keeps a set of its users for each room, and a lease: a key with a short
// life whose value is the incarnation of the process. The sets of the nodes whose
// lease lasts, united, are who is online. A change unites the sets of its room anew,
// in Redis, so that reading costs no more in a large room than in a small one, and
// programs beside Roomtide can read the result (see keys).
//
// Redis holds no truth. The node keeps what it has told; where the lease is missing at
// a heartbeat, Redis was wiped or another one answers, and the node tells everything
// again. Until all nodes have, the driver answers with an error and the store is asked
// instead. The same holds for a node whose lease in Redis has ended while it is alive.
package redispresence

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/redislink"
	"github.com/roomtide/roomtide/presence"
)

// Config is how a Driver is made. Zero durations mean the defaults.
type Config struct {
	URL    string // see redislink.Open
	Prefix string // of all keys
	Node   string // name of this node, its own among those that use the Redis

	// Nodes is how many nodes are alive, this one included (cluster.Node.Alive); nil: one.
	// Where Redis has lost what nodes told, it is not believed until as many have told it.
	Nodes func() int

	Life    time.Duration    // of a lease, and of what it makes count, 15 s
	Every   time.Duration    // between heartbeats, a third of Life
	Timeout time.Duration    // of one pipeline, 1 s
	Now     func() time.Time // nil: time.Now

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

func (c *Config) setDefaults() {
	c.Life = cmp.Or(c.Life, 15*time.Second)
	c.Every = cmp.Or(c.Every, c.Life/3)
	c.Timeout = cmp.Or(c.Timeout, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Nodes == nil {
		c.Nodes = func() int { return 1 }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Errors while Redis does not have what this node has told, or another one.
var (
	errAway = errors.New("redis does not have the users of this node")
	errPart = errors.New("redis does not have the users of all nodes")
)

// Driver is a presence.Driver.
type Driver struct {
	// Set once.
	cfg     Config
	client  rueidis.Client
	keys    keys
	name    string // of this process: node:incarnation
	seed    maphash.Seed
	metrics *metrics
	stop    context.CancelFunc
	loop    sync.WaitGroup
	closing sync.Once
	kick    chan struct{} // asks for a heartbeat at once; holds one
	writing chan struct{} // holds the right to write to Redis

	// Owned by the holder of the right to write.
	rooms    map[chat.RoomID]map[chat.UserID]struct{} // what this node tells, no room empty
	users    map[chat.UserID]int                      // in how many rooms, none 0
	live     map[string]bool                          // names of other processes whose lease lasts
	renewed  time.Time                                // when the lease was renewed
	greeted  bool                                     // the first heartbeat has passed
	reported bool                                     // the last failure is in the log
	beats    uint64                                   // calls of verify
	short    int                                      // heartbeats in a row, since one was lost, that found fewer processes than nodes

	// Guarded by mu.
	mu   sync.Mutex
	told bool // Redis has what this node tells
	part bool // and not what other nodes tell
}

var _ presence.Driver = (*Driver)(nil)

// New returns a driver, whether or not Redis answers: it is tried again for as long as
// the driver is open. The error is of the Config.
func New(cfg Config) (*Driver, error) {
	cfg.setDefaults()
	client, err := redislink.Open(cfg.URL, cfg.Timeout)
	if err != nil {
		return nil, err
	}
	incarnation := rand.Text()
	d := &Driver{
		cfg: cfg, client: client, name: cfg.Node + ":" + incarnation, seed: maphash.MakeSeed(),
		keys: keys{cfg.Prefix, cfg.Node, incarnation},
		kick: make(chan struct{}, 1), writing: make(chan struct{}, 1),
		rooms: map[chat.RoomID]map[chat.UserID]struct{}{}, users: map[chat.UserID]int{}, live: map[string]bool{},
	}
	d.metrics = newMetrics(cfg.Registerer, d)
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	next := d.tryBeat(ctx)
	d.loop.Go(func() { d.run(ctx, next) })
	return d, nil
}

// Apply implements presence.Driver. It is one pipeline, unless it meets a node that it
// does not know yet.
func (d *Driver) Apply(ctx context.Context, changes []presence.Change) error {
	if err := d.lock(ctx); err != nil {
		return err
	}
	defer d.unlock()
	rooms, users := d.take(changes) // told by a heartbeat if not here
	if !d.isTold() {
		return errAway
	}
	b := d.client.B()
	cmds := rueidis.Commands{b.Get().Key(d.keys.lease(d.cfg.Node)).Build(), b.Smembers().Key(d.keys.nodes()).Build()}
	for room, changed := range rooms {
		cmds = append(cmds, d.tellChanges(room, changed)...)
		cmds = append(cmds, d.unite(room)...)
	}
	for user := range users {
		cmds = append(cmds, d.tellUser(user)...)
	}
	replies, err := d.do(ctx, cmds)
	if err != nil {
		d.lost(err)
		return err
	}
	if holder, err := replies[0].ToString(); err != nil || holder != d.keys.incarnation {
		d.lost(errAway)
		return errAway
	}
	names, err := replies[1].AsStrSlice()
	if err == nil && d.stranger(names) {
		_, err = d.meet(ctx, names)
	}
	if err != nil {
		d.lost(err)
	}
	return err
}

// take brings what this node tells up to date, and returns what changed.
func (d *Driver) take(changes []presence.Change) (rooms map[chat.RoomID]map[chat.UserID]struct{}, users map[chat.UserID]struct{}) {
	rooms, users = map[chat.RoomID]map[chat.UserID]struct{}{}, map[chat.UserID]struct{}{}
	for _, c := range changes {
		if rooms[c.Room] == nil {
			rooms[c.Room] = map[chat.UserID]struct{}{}
		}
		rooms[c.Room][c.User], users[c.User] = struct{}{}, struct{}{}
		_, there := d.rooms[c.Room][c.User]
		switch {
		case c.On && !there:
			if d.rooms[c.Room] == nil {
				d.rooms[c.Room] = map[chat.UserID]struct{}{}
			}
			d.rooms[c.Room][c.User] = struct{}{}
			d.users[c.User]++
		case !c.On && there:
			if delete(d.rooms[c.Room], c.User); len(d.rooms[c.Room]) == 0 {
				delete(d.rooms, c.Room)
			}
			if d.users[c.User]--; d.users[c.User] == 0 {
				delete(d.users, c.User)
			}
		}
	}
	return rooms, users
}

// Online implements presence.Driver.
func (d *Driver) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	if err := d.lacks(); err != nil {
		return nil, 0, err
	}
	b := d.client.B()
	cmds := rueidis.Commands{b.Get().Key(d.keys.lease(d.cfg.Node)).Build(), b.Zcard().Key(d.keys.ordered(room)).Build()}
	if limit > 0 {
		cmds = append(cmds, b.Zrangebylex().Key(d.keys.ordered(room)).Min("-").Max("+").Limit(0, int64(limit)).Build())
	}
	replies, err := d.do(ctx, cmds)
	if err != nil {
		if ctx.Err() == nil { // else it is the caller that did not wait
			d.lost(err)
		}
		return nil, 0, err
	}
	if holder, err := replies[0].ToString(); err != nil || holder != d.keys.incarnation {
		d.lost(errAway)
		return nil, 0, errAway
	}
	n, err := replies[1].ToInt64()
	if err != nil || limit <= 0 {
		return nil, int(n), err
	}
	ids, err := replies[2].AsStrSlice()
	if err != nil {
		return nil, 0, err
	}
	users := make([]chat.UserID, len(ids))
	for i, id := range ids {
		users[i] = chat.UserID(id)
	}
	count := max(int(n), len(users))
	if len(users) < limit { // all of them; the count may be from before a change
		count = len(users)
	}
	return users, count, nil
}

// Close takes this node off Redis, as far as Redis answers. What the node has told and
// not taken back runs out with its life.
func (d *Driver) Close() error {
	d.closing.Do(func() {
		d.stop()
		d.loop.Wait()
		if d.isTold() {
			b := d.client.B()
			_, err := d.do(context.Background(), rueidis.Commands{
				b.Del().Key(d.keys.lease(d.cfg.Node)).Build(), b.Srem().Key(d.keys.nodes()).Member(d.name).Build(),
			})
			if err != nil {
				d.cfg.Log.Debug("presence: the lease in redis runs out by itself", "err", err)
			}
		}
		d.client.Close()
	})
	return nil
}

func (d *Driver) lock(ctx context.Context) error {
	select {
	case d.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Driver) unlock() { <-d.writing }

func (d *Driver) isTold() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told
}

// lacks is why Redis is not to be believed; nil: it is.
func (d *Driver) lacks() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.told:
		return errAway
	case d.part:
		return errPart
	}
	return nil
}

func (d *Driver) setTold(told bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = told
}

// lost says that Redis may not have what this node tells; a heartbeat tells it again.
func (d *Driver) lost(err error) {
	d.cfg.Log.Debug("presence: redis is told again", "err", err)
	d.setTold(false)
	d.wake()
}

func (d *Driver) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}
