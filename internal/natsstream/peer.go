package natsstream

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

// peer is another process, or what was one.
type peer struct {
	// Set once.
	mesh *Mesh
	tag  uint64

	sending sync.Mutex
	sent    uint64 // frames to it; guarded by sending, under which they are published: their order is that of the numbers

	heard   atomic.Int64 // when it was heard of, in Unix nanoseconds
	streams int          // guarded by the mesh's mu

	// Owned by the subscription.
	known bool
	next  uint64 // the number of the next frame from it
}

// peerLocked returns the process with a tag. mu is held.
func (m *Mesh) peerLocked(tag uint64) *peer {
	p := m.peers[tag]
	if p != nil {
		return p
	}
	if len(m.peers) >= maxPeers {
		for t, old := range m.peers {
			if old.streams == 0 {
				delete(m.peers, t)
			}
		}
	}
	p = &peer{mesh: m, tag: tag}
	m.peers[tag] = p
	return p
}

// send sends a frame. With ask, NATS says if the process is gone (receive).
func (p *peer) send(f *frame, ask bool) error {
	m := p.mesh
	msg := &nats.Msg{Subject: m.subject(p.tag) + "." + Tag(m.tag)}
	if ask {
		msg.Reply = m.subject(m.tag) + "." + Tag(p.tag)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	f.number = p.sent
	msg.Data = f.append(make([]byte, 0, headerSize+len(f.payload)))
	if err := m.cfg.NATS.PublishMsg(msg); err != nil {
		return err
	}
	p.sent++
	return nil
}

// receive takes a message for this process. The last token of its subject is the sender,
// or the process that NATS has not found.
func (m *Mesh) receive(msg *nats.Msg) {
	from, ok := parseTag(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
	if !ok {
		return
	}
	gone := len(msg.Data) == 0 && msg.Header.Get("Status") == "503"
	m.mu.Lock()
	p := m.peers[from]
	if p == nil && !gone && !m.closed {
		p = m.peerLocked(from)
	}
	m.mu.Unlock()
	if p == nil {
		return
	}
	if gone {
		m.end(p, errGone)
		return
	}
	f, ok := parseFrame(msg.Data)
	if !ok {
		m.cfg.Log.Warn("a message of another node cannot be read", "node", Tag(from))
		return
	}
	p.heard.Store(time.Now().UnixNano())
	hole := p.known && f.number != p.next
	p.known, p.next = true, f.number+1
	if hole {
		m.lose(p, errLost)
	}
	m.handle(p, &f)
}

// handle acts on a frame.
func (m *Mesh) handle(p *peer, f *frame) {
	switch f.kind {
	case kindAsk:
		m.tell(p, kindHere, f.stream)
		return
	case kindHere:
		return
	case kindLost:
		m.end(p, errLost)
		return
	case kindOpen:
		m.accept(p, f)
		return
	}
	m.mu.Lock()
	s := m.streams[key{peer: p.tag, number: f.stream, dialed: !f.dialed}]
	m.mu.Unlock()
	switch {
	case s != nil:
		s.handle(f)
	case f.kind == kindData, f.kind == kindAccept:
		_ = p.send(&frame{kind: kindClose, dialed: !f.dialed, stream: f.stream}, false) // it will be asked again
	}
}

// accept takes a stream that another process has dialed.
func (m *Mesh) accept(p *peer, f *frame) {
	s, err := m.add(key{peer: p.tag, number: f.stream})
	if err != nil {
		_ = p.send(&frame{kind: kindClose, stream: f.stream}, false) // the other process gives up in time
		return
	}
	if s.send(kindAccept, nil) != nil {
		s.Close()
		return
	}
	select {
	case m.accepts <- s:
	default:
		m.counters.refused.Inc()
		s.Close()
	}
}

// tell sends what is about no stream.
func (m *Mesh) tell(p *peer, k kind, stream uint64) {
	if err := p.send(&frame{kind: k, stream: stream}, k == kindAsk); err != nil {
		m.cfg.Log.Debug("another node cannot be told anything", "node", Tag(p.tag), "err", err)
	}
}

// lose ends the streams with a process, there too: something was lost.
func (m *Mesh) lose(p *peer, err error) {
	m.end(p, err)
	m.tell(p, kindLost, 0)
}

// end ends the streams with a process, here.
func (m *Mesh) end(p *peer, err error) {
	for _, s := range m.all(p) {
		m.counters.lost.Inc()
		s.fail(err)
	}
}

// watch asks the processes with which there are streams whether they are there.
func (m *Mesh) watch() {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.done:
			return
		case now := <-tick.C:
			m.ask(now)
		}
	}
}

func (m *Mesh) ask(now time.Time) {
	m.mu.Lock()
	var peers []*peer
	for _, p := range m.peers {
		if p.streams > 0 {
			peers = append(peers, p)
		}
	}
	m.mu.Unlock()
	for _, p := range peers {
		if now.Sub(time.Unix(0, p.heard.Load())) > silence {
			m.end(p, errGone)
			continue
		}
		m.tell(p, kindAsk, 0)
	}
}

// counters are the metrics of a mesh.
type counters struct{ refused, lost prometheus.Counter }

func newCounters(reg prometheus.Registerer, m *Mesh) *counters {
	c := &counters{
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roomtide_streams_refused_total", Help: "Streams between nodes that were refused or ended as there were too many, or too much waited to be read.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roomtide_streams_lost_total", Help: "Streams between nodes that ended as a node or a message was lost.",
		}),
	}
	if reg != nil {
		reg.MustRegister(c.refused, c.lost,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "roomtide_streams", Help: "Streams between this node and others, over NATS.",
			}, func() float64 { return float64(m.Len()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "roomtide_streams_waiting_bytes", Help: "Bytes that have arrived on streams between nodes and were not read.",
			}, func() float64 { return float64(m.held.Load()) }))
	}
	return c
}
