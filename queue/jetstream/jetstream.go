// Package jetstream keeps a queue in JetStream, the storage of the NATS servers through
// which the nodes of a cluster speak to each other: one stream, with a subject for each
// lane. One stream is enough and costs the least, as servers write what many have
// appended at once.
//
// An entry is a message, and its number is the message's in the stream. The stream begins
// with the time at which it was made, in microseconds, as its first number: one that is
// made anew has larger numbers than the one before.
//
// Trimming leaves the last trimmed entry of a lane where it is. A reader begins behind an
// entry that must be there, and so knows that nothing was lost between that one and the
// next, which the numbers alone, with gaps, would not tell.
//
// Whether a server waits for its disk before it answers (sync_interval: always) is a
// setting of the server that its clients cannot see. Without it, an entry that was
// appended is in the memory of a quorum of servers, and is lost only if they all lose
// power at the same time.
package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
)

// Config is how a Queue is made. NATS, Prefix and Lanes are required.
type Config struct {
	NATS   *nats.Conn // stays open, and is the caller's
	Prefix string     // of the subjects, the same on all nodes of a deployment and on no others; "rt.<deployment>"
	Lanes  int

	// Replicas is how many servers have each entry. 0: 3 where there are as many, else 1,
	// of which a warning is logged.
	Replicas int
	// MaxBytes bounds the stream. The servers reserve it on their disks. 0: 1 GiB.
	MaxBytes int64
	// RequireDurable makes it an error if what was appended can be lost with one server.
	RequireDurable bool
	// Synced says that the servers are known to wait for their disks: nothing is said of it.
	Synced bool

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing

	timing timing // zero: as in production
}

// timing is how long things take; tests have less patience.
type timing struct {
	look   time.Duration // between two looks at the stream
	lag    time.Duration // after which a replica that is behind is an error
	trim   time.Duration // between two rounds of trimming
	answer time.Duration // of JetStream, for anything but an entry
	open   time.Duration // of Open, while JetStream does not answer
	few    time.Duration // of Open, for more servers of a cluster to come
	none   time.Duration // of Open, while there is no JetStream: servers that start have none yet
}

var production = timing{look: 5 * time.Second, lag: 30 * time.Second, trim: time.Second, answer: 5 * time.Second, open: 10 * time.Second, few: 5 * time.Second, none: 2 * time.Second}

// defaultMaxBytes is Config.MaxBytes where it is not set.
const defaultMaxBytes = 1 << 30

// Queue is queue.Queue in JetStream.
type Queue struct {
	// Set once.
	cfg   Config
	js    js.JetStream
	name  string // of the stream
	began time.Time
	metrics

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	bg     sync.WaitGroup

	health health
	newest atomic.Uint64 // the largest number that this node has seen

	trims trims
}

var _ queue.Queue = (*Queue)(nil)

// Open makes the stream, or changes that which is there where this is safe, and starts.
// An error says what to do. It is ErrNone where the servers have no JetStream for this
// node. If they do not answer, Open returns a Queue that works as soon as they do; Err
// tells. ctx bounds Open alone.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	made, err := js.New(cfg.NATS)
	if err != nil {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "queue.open", Text: "the connection to NATS cannot be used for the queue", Err: err}
	}
	q := &Queue{cfg: cfg, js: made, name: StreamName(cfg.Prefix), metrics: newMetrics(), began: time.Now()}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.health.since = map[string]time.Time{}
	q.trims.wanted, q.trims.done = map[int]uint64{}, map[int]uint64{}
	if err := q.open(ctx); err != nil {
		q.cancel()
		return nil, err
	}
	q.register()
	q.bg.Go(q.watch)
	q.bg.Go(q.trimAll)
	return q, nil
}

func (cfg *Config) fill() error {
	for _, token := range strings.Split(cfg.Prefix, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n/\\") {
			return chat.E(chat.Invalid, strconv.Quote(cfg.Prefix)+" is no prefix of subjects")
		}
	}
	if cfg.NATS == nil || cfg.Lanes <= 0 || cfg.Replicas < 0 || cfg.Replicas > 5 || cfg.MaxBytes < 0 {
		return chat.E(chat.Invalid, "the queue needs a connection to NATS, lanes, and 1 to 5 replicas")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.timing == (timing{}) {
		cfg.timing = production
	}
	return nil
}

// open waits for the stream as long as JetStream may take to answer.
func (q *Queue) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.timing.open)
	defer cancel()
	start := time.Now()
	for {
		info, err := q.establish(ctx)
		if err == nil {
			q.look(info, 0)
			q.cfg.Log.Info("the queue is there"+q.hint(), "stream", q.name, "replicas", info.Config.Replicas, "bytes", info.State.Bytes, "max_bytes", info.Config.MaxBytes)
			return nil
		}
		if chat.KindOf(err) != chat.Unavailable && !(errors.Is(err, ErrNone) && time.Since(start) < q.cfg.timing.none) {
			return err
		}
		if !pause(ctx, retryFirst) {
			q.health.set(err)
			q.cfg.Log.Warn("the queue does not answer; what cannot be committed is not kept until it does", "err", err)
			return nil
		}
	}
}

// hint is what operators have to see to.
func (q *Queue) hint() string {
	if q.cfg.Synced {
		return ""
	}
	return "; set sync_interval to always on its servers, which cannot be seen from here"
}

// StreamName is the name of the stream for a prefix of subjects.
func StreamName(prefix string) string { return strings.ReplaceAll(prefix, ".", "_") + "_queue" }

func (q *Queue) subject(lane int) string { return q.cfg.Prefix + ".q." + strconv.Itoa(lane) }

// subjects are those of all lanes.
func (q *Queue) subjects() string { return q.cfg.Prefix + ".q.*" }

// Append implements queue.Queue.
func (q *Queue) Append(ctx context.Context, lane int, data []byte) (uint64, error) {
	number, err := q.append(ctx, lane, data)
	if err != nil {
		q.failures.WithLabelValues("append").Inc()
		return 0, err
	}
	q.appended.Inc()
	return number, nil
}

func (q *Queue) append(ctx context.Context, lane int, data []byte) (uint64, error) {
	if q.ctx.Err() != nil {
		return 0, errClosed("append")
	}
	if largest := q.cfg.NATS.MaxPayload(); largest > 0 && int64(len(data)) > largest {
		return 0, tooLarge(len(data), largest)
	}
	ack, err := q.js.PublishMsg(ctx, &nats.Msg{Subject: q.subject(lane), Data: data}, js.WithRetryAttempts(0))
	if err != nil {
		return 0, explain("append", err)
	}
	if ack.Stream != q.name {
		return 0, &chat.Error{Kind: chat.Unavailable, Op: "queue.append", Subject: q.name,
			Text: "the stream " + ack.Stream + " has taken an entry of the queue: it has subjects of Roomtide, which it may not"}
	}
	q.saw(ack.Sequence)
	return ack.Sequence, nil
}

// saw notes a number that exists.
func (q *Queue) saw(number uint64) {
	for {
		newest := q.newest.Load()
		if number <= newest || q.newest.CompareAndSwap(newest, number) {
			return
		}
	}
}

// Last implements queue.Queue.
func (q *Queue) Last(ctx context.Context, lane int) (uint64, error) {
	return q.find(ctx, lane, 0)
}

// find returns the number of the entry of the lane with that number, or of the last one
// for 0; 0 if it is not there. The leader of the stream answers.
func (q *Queue) find(ctx context.Context, lane int, number uint64) (uint64, error) {
	if q.ctx.Err() != nil {
		return 0, errClosed("read")
	}
	return q.lookUp(ctx, lane, number)
}

// lookUp is find, also while the queue is being closed.
func (q *Queue) lookUp(ctx context.Context, lane int, number uint64) (uint64, error) {
	get := struct {
		Number uint64 `json:"seq,omitempty"`
		Last   string `json:"last_by_subj,omitempty"`
	}{Number: number}
	if number == 0 {
		get.Last = q.subject(lane)
	}
	var found struct {
		Message struct {
			Subject string `json:"subject"`
			Number  uint64 `json:"seq"`
		} `json:"message"`
	}
	err := q.ask(ctx, "STREAM.MSG.GET", get, &found)
	switch {
	case codeOf(err) == js.JSErrCodeMessageNotFound:
		return 0, nil
	case err != nil:
		return 0, explain("read", err)
	case found.Message.Subject != q.subject(lane):
		return 0, nil
	}
	q.saw(found.Message.Number)
	return found.Message.Number, nil
}

// ask sends a request about the stream and reads the answer into one.
func (q *Queue) ask(ctx context.Context, verb string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.timing.answer)
	defer cancel()
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := q.cfg.NATS.RequestWithContext(ctx, js.DefaultAPIPrefix+verb+"."+q.name, data)
	if err != nil {
		return err
	}
	var failed struct {
		Error *js.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return err
	}
	if failed.Error != nil {
		return failed.Error
	}
	return json.Unmarshal(m.Data, answer)
}

// Close implements queue.Queue.
func (q *Queue) Close() {
	q.cancel()
	q.bg.Wait()
}

// pause reports whether it has not ended early.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
