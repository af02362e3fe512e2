package matrix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/websocket"
)

// socket is a connection of one user, native or of Socket.IO.
type socket struct {
	ws   *websocket.Conn
	io   bool
	last int // the id of the last command
}

func (n *node) dial(io bool, token string) (*socket, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	url := "ws://" + n.Addr + "/ws"
	if io {
		url = "ws://" + n.Addr + "/socket.io/?EIO=4&transport=websocket"
	}
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	s := &socket{ws: ws, io: io}
	if err := ws.NetConn().SetDeadline(time.Now().Add(5 * patience)); err != nil { // for all commands
		return nil, err
	}
	if !io {
		_, err := s.ask("hello", fmt.Sprintf(`"type":"hello","token":"%s"`, token))
		return s, err
	}
	if _, err := s.receive("0{"); err != nil {
		return nil, err
	}
	if err := s.send(fmt.Sprintf(`40{"token":"%s"}`, token)); err != nil {
		return nil, err
	}
	_, err = s.receive("40{")
	return s, err
}

func (s *socket) send(frame string) error {
	return s.ws.WriteMessage(websocket.Text, []byte(frame))
}

// receive returns the next frame that has the prefix, without the rest.
func (s *socket) receive(prefix string) (string, error) {
	for {
		_, p, err := s.ws.ReadMessage(1 << 20)
		switch frame := string(p); {
		case err != nil:
			return "", err
		case strings.HasPrefix(frame, prefix):
			return frame, nil
		case s.io && frame == "2": // a ping
			if err := s.send("3"); err != nil {
				return "", err
			}
		}
	}
}

// ask sends a command and returns the object that answers it. fields are those of the
// native frame; name is the event of Socket.IO.
func (s *socket) ask(name, fields string) (string, error) {
	s.last++
	if !s.io {
		if err := s.send(fmt.Sprintf(`{"id":%d,%s}`, s.last, fields)); err != nil {
			return "", err
		}
		for {
			f, err := s.receive(`{"type":"`)
			if err != nil || strings.HasPrefix(f, fmt.Sprintf(`{"type":"ack","id":%d`, s.last)) || strings.HasPrefix(f, fmt.Sprintf(`{"type":"error","id":%d`, s.last)) {
				return f, err
			}
		}
	}
	if err := s.send(fmt.Sprintf(`42%d["%s",{%s}]`, s.last, name, fields)); err != nil {
		return "", err
	}
	prefix := fmt.Sprintf(`43%d[`, s.last)
	f, err := s.receive(prefix)
	return strings.TrimSuffix(strings.TrimPrefix(f, prefix), "]"), err
}
