package engineio

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/roomtide/roomtide/websocket"
)

// openWebSocket answers the handshake of a session that begins as a WebSocket.
func (s *Socket) openWebSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, s.srv.upgradeOptions(w, r, s.srv.opts.Deflate))
	if err != nil { // it has been answered, and the handler never saw the socket
		s.ended.Store(true)
		s.closeCalled = true
		s.turn.Unlock()
		s.srv.leave(s)
		s.srv.work.Done()
		return
	}
	l := s.newLink(c)
	s.mu.Lock()
	s.queue.cut.deflates = c.Deflate()
	s.takeLink(l)
	if s.ended.Load() { // the server was closed meanwhile
		s.hangUp()
	} else {
		s.push(appendPacket(nil, kindOpen, s.srv.greet(s, webSocket)))
	}
	s.mu.Unlock()
	// On a goroutine of its own: the stack of this one has grown with net/http, and
	// where reading blocks it would stay so for the life of the connection.
	l.reader.Start()
	s.opened()
}

// upgradeOptions is how a WebSocket begins.
func (s *Server) upgradeOptions(w http.ResponseWriter, r *http.Request, deflate bool) websocket.UpgradeOptions {
	o := websocket.UpgradeOptions{Header: w.Header(), Deflate: deflate}
	offered := websocket.Offered(r)
	switch {
	case len(offered) == 0:
	case s.opts.Subprotocol != nil:
		o.Protocols = []string{s.opts.Subprotocol(r, offered)}
	default:
		o.Protocols = offered[:1]
	}
	return o
}

// takeLink makes a link the transport. Reading begins with Start of its reader,
// before the turn is given back. mu is held.
func (s *Socket) takeLink(l *link) {
	s.ws = l
	s.srv.work.Add(1)
	s.srv.readers.Open(&l.reader, l.conn.NetConn(), l)
	l.conn.Source = &l.reader
}

// Run hands over what there is to read until the connection is parked, or until
// the socket ends; then it closes the connection (poll.Runner).
func (l *link) Run() {
	s := l.sock
	for {
		op, p, err := l.conn.ReadMessage(s.srv.opts.MaxPayload)
		if err == syscall.EAGAIN {
			if l.reader.Park() {
				return // another goroutine may have it by now
			}
			continue
		}
		if err != nil {
			if tooLargeFrame(err) && s.enter() {
				told := s.tooLarge()
				if s.leave(); told {
					break // it ends soon
				}
			}
			s.end(endingOfRead(err))
			break
		}
		if !s.enter() {
			break
		}
		err = s.receiveFrame(op, p)
		s.leave()
		if err != nil {
			if err != ErrClosed {
				s.end(endingOf(err))
			}
			break
		}
	}
	hold(l)
	s.srv.work.Done()
}

func (s *Socket) receiveFrame(op websocket.Op, b []byte) error {
	decode := decodeText
	if op == websocket.Binary {
		decode = decodeBinary
	}
	p, err := decode(s.version, b)
	if err != nil {
		return err
	}
	return s.receive(p)
}

// tooLargeFrame reports whether nothing more can be read because of MaxPayload.
func tooLargeFrame(err error) bool {
	var broken *websocket.Error
	return errors.As(err, &broken) && broken.Code == websocket.CodeTooLarge
}

// endingOfRead is how the socket ends when nothing more can be read.
func endingOfRead(err error) ending {
	var closed *websocket.CloseError
	var broken *websocket.Error
	switch {
	case errors.As(err, &closed):
		e := transportClose
		e.code = closed.Code
		return e
	case errors.As(err, &broken):
		e := transportError
		e.code = broken.Code
		return e
	}
	return transportClose
}

// maxAfterEnd is how much a client may send after the end.
const maxAfterEnd = 8 << 20

// hold waits for the client to end its half, for a moment, and closes the
// connection. Closing it while something arrives could make the client lose
// the last frames.
func hold(l *link) {
	if l.conn.NetConn().SetReadDeadline(time.Now().Add(linger)) == nil {
		_, _ = io.CopyN(io.Discard, l.conn.NetConn(), maxAfterEnd) // however it ends, it ends
	}
	l.reader.Release()
	_ = l.conn.NetConn().Close()
}

// pong answers a ping frame. It runs inside ReadMessage.
func (l *link) pong(payload []byte) {
	s := l.sock
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == l {
		frame := websocket.AppendHeader(make([]byte, 0, 2+len(payload)), websocket.Pong, len(payload))
		s.pushAnswer(append(frame, payload...))
	}
}
