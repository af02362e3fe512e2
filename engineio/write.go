package engineio

import (
	"net"
	"os"
	"sync"
	"time"

	"github.com/roomtide/roomtide/internal/netwrite"
)

// TryWrite writes as much of bufs as the client accepts now and never waits. n
// less than the total with a nil err means that it accepts no more now; the
// caller goes on with the next byte after WaitWritable. bufs together with what
// was taken before are WebSocket text frames, each one a message packet (see
// AppendFrame), compressed or not where the socket Deflates; they may be cut
// anywhere. TryWrite neither keeps nor changes bufs or the bytes in them. One
// goroutine at a time calls it.
//
// A socket that is closed while a frame is cut ends without a close frame.
func (s *Socket) TryWrite(bufs net.Buffers) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended.Load():
		return 0, ErrClosed
	case s.ws != nil:
		return s.writeThrough(bufs)
	}
	n, err = s.queue.add(bufs, s.srv.opts.MaxQueued)
	if err == nil && n < netwrite.Size(bufs) {
		s.srv.counts.full.Add(1)
	}
	s.flush()
	return n, err
}

// writeThrough writes to the WebSocket without copying. Frames of the socket's
// own go in where a frame ends. mu is held.
func (s *Socket) writeThrough(bufs net.Buffers) (n int, err error) {
	for s.flush() && len(bufs) > 0 {
		part := bufs
		if len(s.queue.own) > 0 {
			if part, err = s.toFrameEnd(bufs); err != nil {
				return n, err
			}
		}
		m, err := s.ws.out.try(part)
		if skipErr := s.queue.cut.skip(part, m); err == nil {
			err = skipErr
		}
		n += m
		if err != nil {
			s.ws.abort()
			return n, err
		}
		s.queue.ended()
		if m < netwrite.Size(part) {
			s.stall()
			break
		}
		bufs = netwrite.Rest(bufs, m)
	}
	return n, nil
}

// toFrameEnd returns what bufs hold of the frame that is cut.
func (s *Socket) toFrameEnd(bufs net.Buffers) (net.Buffers, error) {
	cut := s.queue.cut
	var part net.Buffers
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		n, err := cut.next(b)
		if err != nil {
			return nil, err
		}
		if part = append(part, b[:n]); !cut.inside() {
			break
		}
	}
	return part, nil
}

// WaitWritable waits until TryWrite can make progress. It fails when that takes
// longer than timeout, or when the socket ends meanwhile. One goroutine at a
// time calls it.
func (s *Socket) WaitWritable(timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		s.mu.Lock()
		ready := !s.stalled && len(s.queue.out) == 0
		if s.ws == nil {
			ready = s.queue.size() < s.srv.opts.MaxQueued
		}
		if s.writable == nil {
			s.writable = make(chan struct{}, 1)
		}
		writable := s.writable // not changed any more
		s.mu.Unlock()
		switch {
		case s.ended.Load():
			return ErrClosed
		case ready:
			return nil
		}
		select {
		case <-writable:
		case <-late.C:
			return os.ErrDeadlineExceeded
		}
	}
}

// changed wakes WaitWritable, to check again. mu is held.
func (s *Socket) changed() {
	if s.writable != nil {
		signal(s.writable)
	}
}

// push queues a frame of the socket's own. mu is held.
func (s *Socket) push(frame []byte) {
	if s.ended.Load() {
		return // nothing comes behind a close frame
	}
	dst := s.queue.appendTo()
	*dst = append(*dst, frame...)
	s.flush()
}

// maxAnswers is how many bytes of answers to pings may be queued.
const maxAnswers = 4 << 10

// pushAnswer queues the answer to a ping. A client that asks and does not read
// gets no more of them. mu is held.
func (s *Socket) pushAnswer(frame []byte) {
	if s.queue.answers < maxAnswers {
		s.queue.answers += len(frame)
		s.push(frame)
	}
}

// scratch is what flush hands to an outlet, which keeps nothing of it.
var scratch = sync.Pool{New: func() any { return new([1][]byte) }}

// flush writes what is queued, as far as the client accepts it now, and
// reports whether all of it was. mu is held.
func (s *Socket) flush() bool {
	if s.ws == nil {
		if s.poll != nil && s.queue.whole() {
			s.poll.wake()
		}
		return false
	}
	if len(s.queue.out) == 0 || s.stalled {
		return !s.stalled
	}
	one := scratch.Get().(*[1][]byte)
	one[0] = s.queue.out
	n, err := s.ws.out.try(one[:])
	one[0] = nil
	scratch.Put(one)
	if err != nil {
		s.ws.abort()
		return false
	}
	all := n == len(s.queue.out)
	s.queue.wrote(n)
	if !all {
		s.stall()
	}
	return all
}

// stall begins to wait for the client. Until it accepts more, its connection is
// not touched. mu is held.
func (s *Socket) stall() {
	s.stalled = true
	l := s.ws
	s.srv.work.Go(func() { s.unstall(l) })
}

func (s *Socket) unstall(l *link) {
	err := l.out.wait()
	s.mu.Lock()
	s.stalled = false
	if err != nil {
		l.abort()
	} else if s.flush() && s.ended.Load() {
		l.out.end()
	}
	s.changed()
	s.mu.Unlock()
}

// hangUp sends a close frame behind what is queued and ends the writing half. The
// reader waits for the client to do the same, and closes the connection. mu is held.
func (s *Socket) hangUp() {
	l := s.ws
	_ = l.conn.NetConn().SetReadDeadline(time.Now().Add(linger)) // fails only if it is closed
	if !s.queue.bye(s.ending.code) {
		l.abort()
		return
	}
	if s.flush() {
		l.out.end()
	} else {
		_ = l.conn.NetConn().SetWriteDeadline(time.Now().Add(linger))
	}
	l.reader.End()
}
