package bench

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/roomtide/roomtide/wire"
)

// A floor is a server that sends and does nothing else, and so is the least cost of
// any server: it has no users, permissions, history or disk. It implements just
// enough of the protocol for the load to run unchanged, except that it sends no acks:
// the sender's own copy is one.
//
// Floor A makes one write(2) per message and socket, as most servers do. Floor
// B appends messages to a log and gives every connection in one write(2) all it
// has not seen, which is what Roomtide's hub does.
type floor interface {
	// enter adds a connection to a room, before the first message there.
	enter(room string, fd int)
	// send delivers a message to all connections of the room.
	send(room, user, text string)
}

func serveFloor(ctx context.Context, name, addr string) error {
	f, err := newFloor(name)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			_ = serveFloorConn(f, nc) // fails when the load has ended
		}()
	}
}

func serveFloorConn(f floor, nc net.Conn) error {
	br := bufio.NewReaderSize(nc, 4<<10)
	req, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	user := ""
	for {
		p, err := readClientFrame(br)
		if err != nil {
			return err
		}
		if room, text, ok := cutMessage(p); ok { // not decoded: a floor
			f.send(room, user, text)
			continue
		}
		var cmd wire.Command
		if err := wire.Decode(p, &cmd); err != nil {
			return err
		}
		switch cmd.Type {
		case wire.Hello:
			user = string(cmd.User)
			_, err = nc.Write(appendServerFrame(nil, fmt.Appendf(nil, `{"type":"ack","id":%d}`, cmd.ID)))
		case wire.Join:
			err = joinFloor(f, nc, &cmd)
		}
		if err != nil {
			return err
		}
	}
}

// joinFloor answers before it enters: nothing may come between the two.
func joinFloor(f floor, nc net.Conn, cmd *wire.Command) error {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	if _, err := nc.Write(appendServerFrame(nil, fmt.Appendf(nil, `{"type":"ack","id":%d,"seq":0}`, cmd.ID))); err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f.enter(string(cmd.Room), int(fd)) })
}

// cutMessage finds room and text in a message of the load.
func cutMessage(p []byte) (room, text string, ok bool) {
	s, ok := strings.CutPrefix(string(p), `{"type":"message"`)
	if !ok {
		return "", "", false
	}
	_, s, _ = strings.Cut(s, `"room":"`)
	room, s, _ = strings.Cut(s, `"`)
	_, s, _ = strings.Cut(s, `"message":"`)
	text, _, ok = strings.Cut(s, `"`)
	return room, text, ok
}

// readClientFrame reads a frame of the load, whose mask is zeros.
func readClientFrame(br *bufio.Reader) ([]byte, error) {
	h, err := br.Peek(4)
	if err != nil {
		return nil, err
	}
	n, head := int(h[1]&0x7F), 6
	if n == 126 {
		n, head = int(h[2])<<8|int(h[3]), 8
	}
	if h[0]&0xF != opText || n > 2<<10 {
		return nil, errors.New("not a frame of the load")
	}
	p, err := br.Peek(head + n)
	if err != nil {
		return nil, err
	}
	_, err = br.Discard(head + n)
	return p[head:], err
}

// appendServerFrame appends an unmasked text frame of less than 64 KiB.
func appendServerFrame(dst, p []byte) []byte {
	dst = append(dst, 0x80|opText)
	if len(p) < 126 {
		dst = append(dst, byte(len(p)))
	} else {
		dst = append(dst, 126, byte(len(p)>>8), byte(len(p)))
	}
	return append(dst, p...)
}

// appendFloorMessage appends the frame that all connections of a room get.
func appendFloorMessage(dst []byte, room, user, text string, seq int64) []byte {
	p := make([]byte, 0, 128+len(text))
	p = append(append(p, `{"type":"message","room":"`...), room...)
	p = strconv.AppendInt(append(p, `","seq":`...), seq, 10)
	p = append(append(p, `,"user":"`...), user...)
	p = append(append(append(p, `","message":"`...), text...), `"}`...)
	return appendServerFrame(dst, p)
}

// byRoom finds the state of a room, making it at first sight.
type byRoom[R any] struct {
	mu    sync.Mutex
	rooms map[string]*R
}

func (b *byRoom[R]) get(id string, make func() *R) *R {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rooms == nil {
		b.rooms = map[string]*R{}
	}
	if b.rooms[id] == nil {
		b.rooms[id] = make()
	}
	return b.rooms[id]
}
