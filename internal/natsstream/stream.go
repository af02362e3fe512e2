package natsstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	window   = 64 << 10 // bytes of a stream that were sent and not read
	maxChunk = 32 << 10 // bytes of a frame
)

var (
	errGone   = errors.New("natsstream: the other process is gone")
	errLost   = errors.New("natsstream: something was lost on the way")
	errFull   = errors.New("natsstream: too many streams, or too much is waiting to be read")
	errBroken = errors.New("natsstream: the other process does not keep to the rules")
	errReset  = errors.New("natsstream: the other process has closed the stream")
)

// stream is one end of a stream (net.Conn). A Read and a Write may run at the same time.
type stream struct {
	// Set once.
	mesh *Mesh
	peer *peer
	key  key

	writing sync.Mutex // held by Write, for the order of its chunks

	mu      sync.Mutex
	changed sync.Cond // with mu: something below has changed

	// Guarded by mu.
	in       bytes.Buffer // what has arrived and was not read
	arrived  uint64       // bytes, in all
	credited uint64       // bytes of which the sender knows that they were read
	sent     uint64       // bytes, in all
	allowed  uint64       // bytes that may be sent, in all
	accepted bool         // by the other process
	eof      bool         // nothing more arrives
	cut      bool         // and nothing more is read there
	ended    bool         // CloseWrite or Close was called
	closed   bool         // Close was called
	err      error        // why the stream has failed
	readBy   deadline
	writeBy  deadline
}

// key names a stream in its process.
type key struct {
	peer   uint64
	number uint64
	dialed bool // here
}

func newStream(m *Mesh, p *peer, k key) *stream {
	s := &stream{mesh: m, peer: p, key: k, allowed: window}
	s.changed.L = &s.mu
	return s
}

// Read returns what has arrived.
func (s *stream) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	for {
		switch {
		case s.closed:
			err = net.ErrClosed
		case s.readBy.passed():
			err = os.ErrDeadlineExceeded
		case s.in.Len() > 0:
			n, _ = s.in.Read(p) // it is not empty
		case s.err != nil:
			err = s.err
		case s.eof:
			err = io.EOF
		case len(p) > 0:
			s.changed.Wait()
			continue
		}
		break
	}
	read := s.arrived - uint64(s.in.Len())
	credit := read-s.credited >= window/2 && !s.eof
	if credit {
		s.credited = read
	}
	s.mu.Unlock()
	s.mesh.held.Add(-int64(n))
	if credit {
		s.send(kindCredit, binary.BigEndian.AppendUint64(nil, read))
	}
	return n, err
}

// Write sends p, as the other process reads.
func (s *stream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for n < len(p) {
		room, err := s.room(min(len(p)-n, maxChunk))
		if err != nil {
			return n, err
		}
		if err := s.send(kindData, p[n:n+room]); err != nil {
			return n, err
		}
		n += room
	}
	return n, nil
}

// room waits until some of want bytes may be sent, and returns how many.
func (s *stream) room(want int) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch free := int(s.allowed - s.sent); {
		case s.ended:
			return 0, net.ErrClosed
		case s.err != nil:
			return 0, s.err
		case s.cut:
			return 0, errReset
		case s.writeBy.passed():
			return 0, os.ErrDeadlineExceeded
		case free > 0:
			n = min(want, free)
			s.sent += uint64(n)
			return n, nil
		}
		s.changed.Wait()
	}
}

// send sends a frame of the stream. If NATS does not take it, the stream has failed.
func (s *stream) send(k kind, payload []byte) error {
	err := s.peer.send(&frame{kind: k, dialed: s.key.dialed, stream: s.key.number, payload: payload}, false)
	if err != nil {
		s.fail(err)
	}
	return err
}

// CloseWrite tells the other process that nothing more comes.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	was := s.ended || s.err != nil
	s.ended = true
	s.changed.Broadcast()
	s.mu.Unlock()
	if was {
		return nil
	}
	return s.send(kindFin, nil)
}

// Close ends the stream, both ways.
func (s *stream) Close() error {
	s.mu.Lock()
	was, failed := s.closed, s.err != nil
	s.closed, s.ended = true, true
	s.drop()
	s.readBy.set(s, time.Time{})
	s.writeBy.set(s, time.Time{})
	s.changed.Broadcast()
	s.mu.Unlock()
	if was {
		return nil
	}
	s.mesh.remove(s)
	if !failed {
		_ = s.send(kindClose, nil) // without it the other process finds out by itself
	}
	return nil
}

// drop forgets what was not read. mu is held.
func (s *stream) drop() {
	s.mesh.held.Add(-int64(s.in.Len()))
	s.in = bytes.Buffer{}
}

// fail ends the stream with an error. What has arrived may be read.
func (s *stream) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.mesh.remove(s)
}

// handle takes a frame of the other end.
func (s *stream) handle(f *frame) {
	var failed error
	s.mu.Lock()
	switch f.kind {
	case kindAccept:
		s.accepted = true
	case kindData:
		failed = s.take(f.payload)
	case kindCredit:
		s.allowed = binary.BigEndian.Uint64(f.payload) + window
	case kindFin:
		s.eof = true
	case kindClose:
		s.eof, s.cut = true, true
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if failed != nil {
		s.fail(failed)
		_ = s.send(kindClose, nil)
	}
	if f.kind == kindClose {
		s.mesh.remove(s)
	}
}

// take keeps data until it is read. mu is held.
func (s *stream) take(data []byte) error {
	switch {
	case s.closed || s.eof || s.err != nil:
		return nil
	case s.arrived+uint64(len(data)) > s.credited+window:
		return errBroken
	case s.mesh.held.Add(int64(len(data))) > s.mesh.cfg.MaxBytes:
		s.mesh.held.Add(-int64(len(data)))
		s.mesh.counters.refused.Inc()
		return errFull
	}
	s.arrived += uint64(len(data))
	s.in.Write(data)
	return nil
}

// awaitAccept waits until the other process has accepted the stream.
func (s *stream) awaitAccept() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.accepted && s.err == nil && !s.cut && !s.closed {
		s.changed.Wait()
	}
	switch {
	case s.closed:
		return net.ErrClosed
	case s.accepted:
		return nil
	case s.err != nil:
		return s.err
	}
	return errReset
}

func (s *stream) LocalAddr() net.Addr  { return addr(s.mesh.tag) }
func (s *stream) RemoteAddr() net.Addr { return addr(s.key.peer) }

func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

func (s *stream) SetReadDeadline(t time.Time) error  { return s.setDeadline(&s.readBy, t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.writeBy, t) }

func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	d.set(s, t)
	s.changed.Broadcast()
	return nil
}

// deadline is that of Read or of Write. It is guarded by the stream's mu.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(s *stream, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			s.changed.Broadcast()
			s.mu.Unlock()
		})
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// addr is the address of a process: its tag.
type addr uint64

func (a addr) Network() string { return "nats" }
func (a addr) String() string  { return Tag(uint64(a)) }
