// Package natsbus is the bus between the nodes of a cluster, over NATS core: one
// subject for each lane, one message for each batch.
//
// A node subscribes to the subjects of all lanes once, when the bus is made, and picks
// what it wants by itself. So Subscribe is a note in a table, and there is no time in
// which the interest of a node is on its way to a server while a lane commits.
//
// What a node publishes reaches its own handler within the process, before NATS is
// asked: a node whose NATS is gone goes on serving its clients what it commits. The
// copy that comes back from NATS is known by its origin and dropped.
//
// NATS loses what comes while a connection is broken, and what a subscription does not
// take in time. Nothing is done about it here: receivers find the hole in the positions
// of the lane, also in that of a lane that says nothing, and resume from the store.
package natsbus

import (
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

const (
	// What NATS keeps for the handler while that is busy. The handler does not
	// block, so this is for a node that stands still: at 25,000 batches a second it
	// is two seconds' worth, and what is older is sooner read from the store.
	pendingMessages = 64 << 10
	pendingBytes    = 64 << 20

	// partBytes is how much of a batch is in one message, if the server's
	// max_payload allows it: a connection carries other things in between.
	partBytes = 256 << 10

	proofDeadline = 2 * time.Second
)

// Bus is a bus.Bus over a connection to NATS that it does not own. Safe for concurrent
// use.
type Bus struct {
	bus.Local

	// Set once.
	nc     *nats.Conn
	prefix string // of subjects, with the dot behind "ev"
	origin uint64 // of messages of this Bus
	log    *slog.Logger
	sub    *nats.Subscription // nil if NATS refused it
	ended  chan struct{}      // closed by Close
	states chan nats.Status
	metrics

	proven atomic.Uint64 // connections made, when the subscription was last proven; 0: never

	closing sync.Once

	// Guarded by parting: parts of one batch are not mixed with those of another.
	parting sync.Mutex
	number  uint64

	parts assembly // owned by receive
}

var _ bus.Bus = (*Bus)(nil)

// New returns the bus of this node. All nodes of a deployment, and no others, have the
// same prefix of subjects. The connection should keep nothing for later while no server
// answers (natslink), or batches come late instead of not at all. A nil log discards, a
// nil reg registers nothing.
func New(nc *nats.Conn, prefix string, log *slog.Logger, reg prometheus.Registerer) *Bus {
	b := &Bus{
		nc: nc, prefix: prefix + ".ev.", origin: rand.Uint64(), log: log,
		ended: make(chan struct{}), parts: assembly{unfinished: map[uint64]*pieces{}},
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	sub, err := nc.Subscribe(b.prefix+"*", b.receive)
	if err == nil {
		err = sub.SetPendingLimits(pendingMessages, pendingBytes)
		b.sub = sub
	}
	if err != nil {
		b.log.Error("the bus has no subscription at NATS", "err", err)
	}
	b.register(reg)
	b.prove()
	b.states = nc.StatusChanged(nats.CONNECTED)
	go b.watch()
	return b
}

// watch proves the subscription after each reconnect, until Close.
func (b *Bus) watch() {
	for {
		select {
		case <-b.ended:
			return
		case _, open := <-b.states:
			if !open {
				return
			}
			b.prove()
		}
	}
}

// prove makes sure that the server has the subscription: it has answered behind it.
// With several servers the others hear of it a few milliseconds later. It returns an
// error if there is a connection and no answer.
func (b *Bus) prove() error {
	made := b.nc.Stats().Reconnects + 1
	if b.proven.Load() == made || !b.nc.IsConnected() {
		return nil
	}
	if b.sub == nil || !b.sub.IsValid() {
		return nats.ErrBadSubscription
	}
	if err := b.nc.FlushTimeout(proofDeadline); err != nil {
		if !b.nc.IsConnected() {
			return nil
		}
		b.log.Warn("NATS has not confirmed the subscription of the bus", "err", err)
		return err
	}
	b.proven.Store(made)
	return nil
}

// Publish implements bus.Bus. The handler of this node has returned when it returns.
// The error is Unavailable if NATS has not taken all of the batch.
func (b *Bus) Publish(batch *bus.Batch) error {
	handler, err := b.Handler(batch.Lane)
	if err != nil {
		return err
	}
	if handler != nil {
		handler(batch)
	}
	if err := b.send(batch); err != nil {
		b.unsent.Inc()
		return &chat.Error{Kind: chat.Unavailable, Op: "bus.Publish", Text: "NATS does not take events", Err: err}
	}
	return nil
}

// send hands a batch to NATS, in one message or several.
func (b *Bus) send(batch *bus.Batch) error {
	subject := b.prefix + strconv.Itoa(int(batch.Lane))
	f := frame{kind: whole, origin: b.origin}
	header := 1 + originBytes
	data := bus.AppendBatch(f.append(nil), batch) // nats.go copies it
	payload := int(b.nc.MaxPayload())
	if payload <= 0 { // it has never been connected
		payload = partBytes
	}
	if len(data) <= min(payload, partBytes) {
		return b.nc.Publish(subject, data)
	}
	data = data[header:]
	size := min(payload, partBytes) - maxHeader
	if len(data) > maxBatch || size < maxBatch/maxParts {
		return nats.ErrMaxPayload
	}
	return b.sendParts(subject, data, size)
}

func (b *Bus) sendParts(subject string, data []byte, size int) error {
	b.parting.Lock()
	defer b.parting.Unlock()
	b.number++
	f := frame{kind: part, origin: b.origin, number: b.number, of: (len(data) + size - 1) / size, size: len(data)}
	message := make([]byte, 0, size+maxHeader)
	for ; f.index < f.of; f.index++ {
		n := min(size, len(data))
		message = append(f.append(message[:0]), data[:n]...)
		data = data[n:]
		if err := b.nc.Publish(subject, message); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a message from NATS, in the goroutine of the subscription. Lanes that
// are not subscribed cost nothing more than their arrival.
func (b *Bus) receive(m *nats.Msg) {
	lane, err := strconv.Atoi(strings.TrimPrefix(m.Subject, b.prefix))
	f, data, ok := readFrame(m.Data)
	if err != nil || !ok {
		b.ignored.Inc()
		return
	}
	handler, err := b.Handler(bus.Lane(lane))
	if f.origin == b.origin || handler == nil || err != nil { // an error: it is closed
		return
	}
	if f.kind == part {
		var lost int
		data, lost = b.parts.add(f, data)
		b.lost.Add(float64(lost))
		if data == nil {
			return
		}
	}
	batch, err := bus.DecodeBatch(data)
	if err != nil || batch.Lane != bus.Lane(lane) {
		b.ignored.Inc()
		return
	}
	handler(batch)
}

// Subscribe implements bus.Bus. It is local, but for the first one behind a new
// connection, which waits until the server has the subscription of the node. Without a
// connection it is done: what this node publishes comes at once, the rest later.
func (b *Bus) Subscribe(lane bus.Lane) error {
	if err := b.Local.Subscribe(lane); err != nil {
		return err
	}
	if err := b.prove(); err != nil {
		return &chat.Error{Kind: chat.Unavailable, Op: "bus.Subscribe", Text: "NATS does not confirm the subscription", Err: err}
	}
	return nil
}

// Close implements bus.Bus. It does not wait for a handler that is running, and leaves
// the connection as it is.
func (b *Bus) Close() (err error) {
	b.closing.Do(func() {
		err = b.Local.Close()
		b.keepDropped()
		close(b.ended)
		b.nc.RemoveStatusListener(b.states)
		if b.sub != nil && b.sub.IsValid() && !b.nc.IsClosed() {
			err = b.sub.Unsubscribe()
		}
	})
	return err
}
