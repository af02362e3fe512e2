package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

const (
	// writeTimeout is how long a server may leave what we write unread.
	writeTimeout = 20 * time.Second
	// helloTimeout bounds connecting and saying hello.
	helloTimeout = 15 * time.Second
	// maxFrame bounds one frame of the server: a page of messages of the largest size.
	maxFrame = 64 << 20
	helloID  = 1
)

// link is one connection whose hello was acked. Frames may be queued from any
// goroutine and are written by one, so that they leave in the order they were
// queued and no lock is held during a write. The queue is bounded by the commands
// that wait for an answer: the outbox's window, and a frame for each call.
type link struct {
	ws    *websocket.Conn
	hello *wire.ServerFrame // the server's answer to hello
	begun time.Time
	heard atomic.Int64 // Unix nanoseconds of the last frame
	wake  chan struct{}
	ended chan struct{} // closed by close
	once  sync.Once

	mu  sync.Mutex
	out [][]byte
}

// connect opens a connection and says hello.
func connect(ctx context.Context, o *Options) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	cmd := wire.Command{Type: wire.Hello, ID: helloID, HasID: true, User: chat.UserID(o.User), Name: o.Name}
	if o.Token != nil {
		token, err := o.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("client: no token: %w", err)
		}
		cmd.Token, cmd.User = token, ""
	}
	dialer := websocket.Dialer{TLS: o.TLS}
	ws, err := dialer.Dial(ctx, o.URL, o.Header)
	if err != nil {
		return nil, err
	}
	l := &link{ws: ws, begun: time.Now(), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	ws.OnPing = l.pong
	stop := context.AfterFunc(ctx, l.close)
	l.hello, err = l.greet(&cmd)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *link) greet(cmd *wire.Command) (*wire.ServerFrame, error) {
	if err := l.ws.WriteMessage(websocket.Text, wire.AppendCommand(nil, cmd)); err != nil {
		return nil, err
	}
	f, err := l.read(helloTimeout)
	switch {
	case err != nil:
		return nil, err
	case f.Err != nil:
		return nil, f.Err
	case f.Type != "ack" || f.ID != helloID:
		return nil, errors.New("client: the server did not answer hello")
	}
	return f, nil
}

// read waits for the next frame, at most for silence.
func (l *link) read(silence time.Duration) (*wire.ServerFrame, error) {
	if err := l.ws.NetConn().SetReadDeadline(time.Now().Add(silence)); err != nil {
		return nil, err
	}
	_, p, err := l.ws.ReadMessage(maxFrame)
	if err != nil {
		return nil, err
	}
	l.heard.Store(time.Now().UnixNano())
	f, err := wire.DecodeServer(p)
	if err != nil {
		return nil, err
	}
	if f.Goodbye != nil {
		return nil, &GoodbyeError{*f.Goodbye}
	}
	return f, nil
}

// queue has cmd written, after everything queued before.
func (l *link) queue(cmd *wire.Command) {
	frame := wire.AppendCommand(nil, cmd)
	l.mu.Lock()
	l.out = append(l.out, frame)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write writes what is queued until the link is closed. After a silence of ping it
// calls poke, which sends a command that the server answers.
func (l *link) write(ping time.Duration, poke func(*link)) {
	defer l.close()
	silence := time.NewTicker(ping)
	defer silence.Stop()
	for {
		l.mu.Lock()
		frames := l.out
		l.out = nil
		l.mu.Unlock()
		for _, f := range frames {
			if err := l.writeOne(f); err != nil {
				return // the close ends the reader
			}
		}
		select {
		case <-l.wake:
		case <-silence.C:
			if time.Since(time.Unix(0, l.heard.Load())) >= ping {
				poke(l)
			}
		case <-l.ended:
			return
		}
	}
}

func (l *link) writeOne(frame []byte) error { return l.writeMessage(websocket.Text, frame) }

// pong answers a ping. The last command may be long ago, and with it the deadline of
// what was written then.
func (l *link) pong(payload []byte) {
	if l.writeMessage(websocket.Pong, payload) != nil {
		l.close() // which ends the reader
	}
}

func (l *link) writeMessage(op websocket.Op, p []byte) error {
	if err := l.ws.NetConn().SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return l.ws.WriteMessage(op, p)
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.ended)
		_ = l.ws.Close() // the link is over, with or without an error
	})
}
