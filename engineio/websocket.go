package engineio

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/roomtide/roomtide/websocket"
)

// openWebSocket answers the handshake of a session that begins as a WebSocket.
func (s *Socket) openWebSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, websocket.UpgradeOptions{Header: w.Header()})
	if err != nil { // it has been answered, and nobody knows of the socket
		s.ended.Store(true)
		s.told = true
		s.turn.Unlock()
		s.srv.leave(s)
		s.srv.work.Done()
		return
	}
	l := newLink(c, s.srv.work.Go)
	c.OnPing = func(p []byte) { s.pong(l, p) }
	s.mu.Lock()
	s.ws = l
	if s.ended.Load() { // the server was closed meanwhile
		s.hangUp()
	} else {
		s.push(appendPacket(nil, kindOpen, s.srv.greet(s, webSocket)))
	}
	s.mu.Unlock()
	// A goroutine of its own reads: this one's stack has grown with net/http and
	// would stay so for the life of the connection. It begins before the turn is
	// given back, so that Server.Close waits for it.
	s.srv.work.Go(func() { s.read(l) })
	s.opened()
}

// read hands over what comes in on the WebSocket until the socket ends, and
// closes it.
func (s *Socket) read(l *link) {
	for {
		op, p, err := l.conn.ReadMessage(s.srv.opts.MaxPayload)
		if err != nil {
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

// maxFarewell is how much a client may send after the end.
const maxFarewell = 1 << 20

// hold waits for the client to end its half, for a moment, and closes the
// connection. Closing it while something arrives could make the client lose
// what was said last.
func hold(l *link) {
	if l.nc.SetReadDeadline(time.Now().Add(linger)) == nil {
		_, _ = io.CopyN(io.Discard, l.nc, maxFarewell) // however it ends, it ends
	}
	_ = l.nc.Close()
}

// pong answers a ping frame. It runs inside ReadMessage.
func (s *Socket) pong(l *link, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == l {
		frame := websocket.AppendHeader(make([]byte, 0, 2+len(payload)), websocket.Pong, len(payload))
		s.pushAnswer(append(frame, payload...))
	}
}
