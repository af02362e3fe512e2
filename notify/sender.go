package notify

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// Lanes is what a Sender needs of lane.Lanes, where the methods are specified.
type Lanes interface {
	Submit(op change.Change, done change.Done)
	NotifyJobs(shard int, c chan<- struct{})
	ForgetJobs(shard int, c chan<- struct{})
}

// Gateway is what a Sender needs of push.Gateway, where the methods are specified.
type Gateway interface {
	Send(ctx context.Context, to push.Target, n *push.Notification) push.Outcome
	Providers() []string
}

// SenderConfig configures a Sender. Store, Lanes, Gateway, Foreground and Secret are required.
type SenderConfig struct {
	Store      *store.Store
	Lanes      Lanes
	Gateway    Gateway
	Foreground Foreground
	Secret     []byte // of the deployment: services cannot guess rooms by collapse keys

	Off      bool   // no push service is used: nothing is sent
	Members  int    // as in JobsConfig
	Language string // "en" or "zh"; default "en"
	Hidden   bool   // never says who has written, or what

	Now        func() time.Time // default time.Now
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *SenderConfig) fill() {
	if c.Members == 0 {
		c.Members = 200
	}
	if c.Language == "" {
		c.Language = "en"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Sender sends the jobs that are due, in the shards whose lanes this node owns. Another
// owner may work on the same jobs for a moment: what comes of them is decided by the lane.
type Sender struct {
	// Set once.
	cfg     SenderConfig
	metrics *metrics

	mu sync.Mutex

	// Guarded by mu.
	crews  map[int]*crew // of the shards that are started
	closed bool
}

// NewSender returns a Sender that sends nothing before Start.
func NewSender(cfg SenderConfig) *Sender {
	cfg.fill()
	s := &Sender{cfg: cfg, crews: map[int]*crew{}}
	s.metrics = newMetrics(cfg.Registerer, s)
	return s
}

// Start begins to send the jobs of a shard whose lane this node owns. A shard that is
// started stays as it is.
func (s *Sender) Start(shard int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Off || s.closed || s.crews[shard] != nil {
		return
	}
	c := newCrew(s, shard)
	s.crews[shard] = c
	s.cfg.Lanes.NotifyJobs(shard, c.wake)
	c.working.Go(c.run)
}

// Stop ends the work on a shard whose lane this node does not own any more. Attempts that
// run are cut off; their jobs are sent again by the next owner, under the same id.
func (s *Sender) Stop(shard int) {
	s.mu.Lock()
	c := s.crews[shard]
	delete(s.crews, shard)
	s.mu.Unlock()
	if c == nil {
		return
	}
	c.end(context.Background(), true)
	s.cfg.Lanes.ForgetJobs(shard, c.wake)
}

// Close begins no more attempts, lets those that run come to their end, as far as ctx
// allows, and returns when all goroutines have ended. It comes before Lanes.Close, and may
// be called again.
func (s *Sender) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	crews := s.crews
	s.crews = map[int]*crew{}
	s.mu.Unlock()
	for shard, c := range crews {
		c.end(ctx, false)
		s.cfg.Lanes.ForgetJobs(shard, c.wake)
	}
}

const (
	pageJobs    = 256  // that are taken at a time
	maxFlying   = 1024 // jobs of a shard that are worked on
	usersAtOnce = 32   // of a page whose rooms are read at a time: a user may have thousands

	pages     = 2                      // whose notifications are written at a time: readers of the chat want the database too
	pageEvery = 200 * time.Millisecond // between looks for jobs, at least
	gather    = 20 * time.Millisecond  // in which outcomes gather that the lane commits together
	lookAgain = time.Minute            // between looks for jobs at rest
	overlap   = time.Second            // of looks: a job may be written so long after the time at which it is due
	lookWhole = 5 * time.Second        // between looks that begin with the oldest job, wherever it comes from
	failPause = time.Second            // until a job is looked at again of which something could not be read
)

// crew sends the jobs of one shard.
type crew struct {
	// Set once.
	s        *Sender
	shard    int
	reader   *store.Reader
	log      *slog.Logger
	wake     chan struct{}   // cap 1: the lane has written jobs
	space    chan struct{}   // cap 1: jobs are done, half of them if as many flew as may
	writing  chan struct{}   // one that writes the notifications of a page holds a place
	stopping chan struct{}   // closed by end: no further job is taken
	ctx      context.Context // ends when attempts are cut off
	cut      context.CancelFunc
	working  sync.WaitGroup
	stop     sync.Once

	mu sync.Mutex

	// Guarded by mu.
	flying   map[store.PushJobKey]int64    // jobs that are worked on, in which version; maxFlying at most
	ended    map[store.PushJobKey]struct{} // jobs that were, since run began to read; nil while it does not
	full     bool                          // run waits until half of those that may fly have landed
	whole    bool                          // a job was given up for now: the next look begins with the oldest
	outcomes []outcome                     // that gather; of jobs that fly

	// Owned by run.
	failing bool  // the last look for jobs failed
	from    int64 // with which the next look begins: what is due before flies, or is done
	began   int64 // when a look began with the oldest job
}

func newCrew(s *Sender, shard int) *crew {
	reader := &s.cfg.Store.Shards()[shard].Reader
	c := &crew{
		s: s, shard: shard, reader: reader, log: s.cfg.Log.With("shard", reader.Name()),
		wake: make(chan struct{}, 1), space: make(chan struct{}, 1), writing: make(chan struct{}, pages), stopping: make(chan struct{}),
		flying: map[store.PushJobKey]int64{},
	}
	c.ctx, c.cut = context.WithCancel(context.Background())
	return c
}

// end returns when all goroutines have ended. Attempts are cut off at once, or when ctx ends.
func (c *crew) end(ctx context.Context, now bool) {
	c.stop.Do(func() { close(c.stopping) })
	if now {
		c.cut()
	}
	defer context.AfterFunc(ctx, c.cut)()
	c.working.Wait()
	c.cut()
}

// run takes jobs when they are due. At rest it waits for commits that write jobs, and asks
// the database nothing, but for a look now and then: jobs that came with slots which have
// moved here are not this shard's yet when they are written.
func (c *crew) run() {
	for {
		began := time.Now()
		next := max(c.look(), pageEvery-time.Since(began))
		timer := time.NewTimer(next)
		select {
		case <-c.stopping:
			timer.Stop()
			return
		case <-timer.C:
			continue
		case <-c.space:
		case <-c.wake:
		}
		timer.Reset(max(0, min(next, pageEvery-time.Since(began))))
		select {
		case <-c.stopping:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look takes what is due, and returns how long there is nothing else to take.
func (c *crew) look() time.Duration {
	now := c.s.cfg.Now().UnixMilli()
	full, err := c.takeAll(now)
	if err != nil {
		if !c.failing && c.ctx.Err() == nil {
			c.log.Warn("push: jobs cannot be read, and are tried again", "err", err)
		}
		c.failing = true
		return failPause
	}
	c.failing = false
	if full {
		return lookAgain // space comes first
	}
	next, err := c.reader.DuePushJobs(c.ctx, now+1, math.MaxInt64, 1)
	switch {
	case err != nil:
		return failPause
	case len(next) == 0:
		return lookAgain
	}
	return min(lookAgain, max(0, time.Duration(next[0].Due-c.s.cfg.Now().UnixMilli())*time.Millisecond))
}

// takeAll takes what is due by now, page by page, each of which begins with the time with
// which the one before has ended. What flies is read once more and passed over. full says
// that no more may fly, and others are due.
func (c *crew) takeAll(now int64) (full bool, err error) {
	from, again := c.begin(now), 0 // again: jobs that are due at from and were read
	left := now - overlap.Milliseconds()
	for {
		select {
		case <-c.stopping:
			return false, nil
		default:
		}
		limit := again + pageJobs
		jobs, first, full, err := c.take(from, now, limit)
		if err != nil {
			return false, err
		}
		left = min(left, first)
		if full || len(jobs) < limit {
			c.from = left
			return full, nil
		}
		from, again = jobs[len(jobs)-1].Due, 0
		for i := range jobs {
			if jobs[i].Due == from {
				again++
			}
		}
	}
}

// begin is with which due a look begins.
func (c *crew) begin(now int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if past := now - c.began; c.whole || past < 0 || past >= lookWhole.Milliseconds() {
		c.whole, c.began = false, now
		return math.MinInt64
	}
	return c.from
}

// take reads jobs and begins the work on those that do not fly yet, or on as many as may.
// left is when the first is due that has to be looked at again: it flies in another version,
// or has just landed, or no more may fly, as full says.
func (c *crew) take(from, to int64, limit int) (jobs []store.PushJob, left int64, full bool, err error) {
	c.mu.Lock()
	c.ended = map[store.PushJobKey]struct{}{}
	c.mu.Unlock()
	jobs, err = c.reader.DuePushJobs(c.ctx, from, to, limit)
	left = math.MaxInt64
	var mine []store.PushJob
	c.mu.Lock()
	for i := range jobs {
		j := &jobs[i]
		made, flies := c.flying[j.Key()]
		_, ended := c.ended[j.Key()] // what was read may be what it was before
		if ended || flies && made != j.Made {
			left = min(left, j.Due)
		}
		if flies || ended {
			continue
		}
		if full = len(c.flying) >= maxFlying; full {
			c.full, left = true, min(left, j.Due)
			break
		}
		c.flying[j.Key()] = j.Made
		mine = append(mine, *j)
	}
	c.ended = nil
	c.mu.Unlock()
	if len(mine) > 0 {
		c.work(mine)
	}
	return jobs, left, full, err
}

func (c *crew) flown() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flying)
}

// landed says that nothing more is done about jobs. There may be others, or news of these.
func (c *crew) landed(ks ...store.PushJobKey) {
	c.mu.Lock()
	for _, k := range ks {
		delete(c.flying, k)
		if c.ended != nil {
			c.ended[k] = struct{}{}
		}
	}
	c.full = c.full && len(c.flying) > maxFlying/2
	full := c.full
	c.mu.Unlock()
	if full {
		return
	}
	select {
	case c.space <- struct{}{}:
	default:
	}
}
