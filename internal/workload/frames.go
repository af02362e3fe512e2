package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// frames is a connection of a client that speaks the protocol itself, natively or over
// Socket.IO (as clients 3 and 4 do, without polling). One goroutine calls say, and one
// hear.
type frames struct {
	// Set once.
	ws       *websocket.Conn
	socketio bool
	hello    int64 // its number; 0: Socket.IO has said it

	ids int64 // owned by say

	// Guarded by mu, which is also held while a frame is written.
	mu   sync.Mutex
	last []string // frames, to be shown beside a failure
}

// badFrame is something that no server says.
type badFrame struct {
	err   error
	frame string
}

func (b *badFrame) Error() string { return fmt.Sprintf("%v: %s", b.err, b.frame) }

// openTime is how long a connection may take until it is of use.
const openTime = 5 * time.Second

// dialFrames connects and authenticates a user. On the native protocol the answer comes
// with the other frames.
func dialFrames(addr, user string, overSocketIO bool) (*frames, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	path := "/ws"
	if overSocketIO {
		path = "/socket.io/?EIO=4&transport=websocket"
	}
	ws, err := websocket.Dial(ctx, "ws://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	f := &frames{ws: ws, socketio: overSocketIO}
	if overSocketIO {
		err = f.connect(user)
	} else {
		f.hello, err = f.say(&wire.Command{Type: wire.Hello, User: chat.UserID(user)})
	}
	if err != nil {
		ws.Close()
		return nil, err
	}
	return f, nil
}

// connect joins the namespace: the engine opens, the client connects, the server agrees.
func (f *frames) connect(user string) error {
	auth, err := json.Marshal(map[string]string{"user": user})
	if err != nil {
		return err
	}
	for _, begin := range []string{"0", "40"} {
		p, err := f.message(openTime)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(p, begin) {
			return fmt.Errorf("the server answers %.100q", p)
		}
		if begin == "0" {
			if err := f.ws.WriteMessage(websocket.Text, append([]byte("40"), auth...)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *frames) close() { f.ws.Close() }

// say sends a command and returns its number.
func (f *frames) say(cmd *wire.Command) (int64, error) {
	f.ids++
	cmd.ID, cmd.HasID = f.ids, true
	p := wire.AppendCommand(nil, cmd)
	if f.socketio {
		p = fmt.Appendf(nil, `42%d[%q,%s]`, f.ids, cmd.Type, p)
	}
	f.note("> " + string(p))
	return f.ids, f.write(websocket.Text, string(p))
}

func (f *frames) write(op websocket.Op, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ws.WriteMessage(op, []byte(p))
}

// hear returns the next frame of the server, an error if that has refused the hello. One of a kind that the codec of clients does
// not know has its Type alone, and "accepted" the number of its command natively, and the
// key of the message as Reason over Socket.IO.
func (f *frames) hear(within time.Duration) (*wire.ServerFrame, error) {
	for {
		p, err := f.message(within)
		if err != nil {
			return nil, err
		}
		id, object := int64(0), []byte(p)
		if f.socketio {
			if id, object, err = unpack(p); object == nil && err == nil {
				continue
			}
		}
		var got *wire.ServerFrame
		if err == nil {
			got, err = wire.DecodeServer(object)
		}
		if err == nil && got.Type == "accepted" {
			err = readKey(object, got)
		}
		if err != nil {
			return nil, &badFrame{err, p}
		}
		if id != 0 {
			got.ID, got.HasID = id, true
		}
		if got.Err != nil && got.HasID && got.ID == f.hello {
			return nil, got.Err // it is another connection's to try again
		}
		return got, nil
	}
}

func readKey(object []byte, into *wire.ServerFrame) error {
	var accepted struct {
		Key string `json:"key"`
	}
	err := json.Unmarshal(object, &accepted)
	into.Reason = accepted.Key
	return err
}

// unpack returns the object in a message of Socket.IO, and the number of the command that
// it answers; nothing if it has none.
func unpack(p string) (id int64, object []byte, err error) {
	if !strings.HasPrefix(p, "4") {
		return 0, nil, nil
	}
	var d socketio.Decoder
	packet, err := d.Text([]byte(p[1:]))
	if err != nil || packet == nil || len(packet.Args) == 0 {
		return 0, nil, err
	}
	switch packet.Type {
	case socketio.TypeAck:
		return int64(packet.ID), packet.Args[0], nil
	case socketio.TypeEvent:
		if packet.Name != "hello" {
			return 0, packet.Args[0], nil
		}
	}
	return 0, nil, nil
}

// message returns the next text message, and answers pings.
func (f *frames) message(within time.Duration) (string, error) {
	for deadline := time.Now().Add(within); ; {
		if err := f.ws.NetConn().SetReadDeadline(deadline); err != nil {
			return "", err
		}
		op, p, err := f.ws.ReadMessage(1 << 20)
		switch {
		case err != nil:
			return "", err
		case op == websocket.Ping:
			_ = f.write(websocket.Pong, string(p)) // a connection that has ended is noticed by reading
			continue
		case op != websocket.Text:
			continue
		}
		f.note("< " + string(p))
		switch {
		case f.socketio && string(p) == "2":
			_ = f.write(websocket.Text, "3")
		case f.socketio && (string(p) == "1" || strings.HasPrefix(string(p), "41")):
			return "", errors.New("the server has ended the connection")
		default:
			return string(p), nil
		}
	}
}

// note keeps a frame.
func (f *frames) note(frame string) {
	const most = 60
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last = append(f.last, frame[:min(len(frame), 400)]); len(f.last) > most {
		f.last = f.last[1:]
	}
}
