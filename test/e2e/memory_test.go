//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/websocket"
)

// fillRoom writes n of the largest messages there are: control characters take six
// bytes each in an answer.
func (b *backEnd) fillRoom(room string, n int) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"message": "x" + strings.Repeat("\x01", 3999), "data": strings.Repeat("d", 16<<10-2)})
	if err != nil {
		b.t.Fatal(err)
	}
	for range n {
		if a := b.do(http.MethodPost, "/v1/rooms/"+room+"/messages", body, ""); a.Status != http.StatusCreated {
			b.t.Fatalf("%+v", a)
		}
	}
}

// A user that opens 600 connections, asks for the largest answers on all of them
// and reads 2 KB every 12 seconds does not take the memory of the node, and others
// do not notice. All that is asked for would be 3 GB (22 pages of 256 KiB on each). What the node
// has depends on when the garbage collector runs: 240 MB alone, and 330 MB beside other tests.
func TestSlowReadersOfLargePages(t *testing.T) {
	const (
		conns  = 600
		most   = 450 << 20
		during = 30 * time.Second
	)
	dir := filepath.Join(t.TempDir(), "data")
	n := program.Start(t, dir, testprocess.FreeAddr(t))
	n.Ready()
	ann := user(t, n, "ann")
	join(t, ann, "room1")
	newBackEnd(t, n, dir).fillRoom("room1", 100)

	ctx, cancel := context.WithTimeout(context.Background(), during)
	defer cancel()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			for ctx.Err() == nil {
				crawl(ctx, n.Addr)
			}
		})
	}
	other := user(t, n, "bob")
	join(t, other, "room2")
	highest, slowest := int64(0), time.Duration(0)
	for ctx.Err() == nil {
		begin := time.Now()
		if _, err := other.Send(testContext(t), "room2", chat.Draft{Text: "x"}); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(begin))
		highest = max(highest, residentBytes(t, n.Pid()))
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	wg.Wait()
	t.Logf("the node had %d MB at most, the slowest message of another user took %s", highest>>20, slowest)
	if highest > most {
		t.Errorf("the node had %d MB", highest>>20)
	}
}

// crawl asks for pages on a connection and hardly reads, until the connection or
// ctx ends.
func crawl(ctx context.Context, addr string) {
	ws, err := websocket.Dial(ctx, "ws://"+addr+"/ws", nil)
	if err != nil {
		return
	}
	defer ws.Close()
	nc := ws.NetConn()
	if tcp, ok := nc.(interface{ SetReadBuffer(int) error }); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	const again = `{"type":"changes","id":99,"room":"room1","after":1}`
	frames := []string{`{"type":"hello","id":1,"user":"ann"}`, `{"type":"join","id":2,"room":"room1","after":0}`}
	for i := range 20 {
		frames = append(frames, fmt.Sprintf(`{"type":"changes","id":%d,"room":"room1","after":1}`, 3+i))
	}
	buf := make([]byte, 2<<10)
	for {
		for _, f := range frames {
			if ws.WriteMessage(websocket.Text, []byte(f)) != nil {
				return
			}
		}
		if _, err := nc.Read(buf); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(12 * time.Second):
		}
		frames = []string{again, again}
	}
}

// What happens in many rooms is kept for connections that read it slowly, and what is
// kept of all rooms together is bounded, whatever their number. Readers that get a part
// of it are told of a gap.
func TestManyRoomsForSlowReaders(t *testing.T) {
	const (
		conns    = 32
		rooms    = 50 // of each connection
		messages = 8  // in each room: 40 KB each, 510 MB in all
		most     = 600 << 20
	)
	n := program.Start(t, filepath.Join(t.TempDir(), "data"), testprocess.FreeAddr(t))
	n.Ready()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	frame := func(typ string, room int, more string) string {
		return fmt.Sprintf(`{"type":%q,"id":%d,"room":"room%d"%s}`, typ, room+1, room, more)
	}
	large := fmt.Sprintf(`,"message":"x%s","data":%q`, strings.Repeat(`\u0001`, 3999), strings.Repeat("d", 16<<10-2))
	var slow []*websocket.Conn
	for i := range conns {
		frames := []string{fmt.Sprintf(`{"type":"hello","id":1,"user":"slow%d"}`, i)}
		for r := range rooms {
			frames = append(frames, frame("join", i*rooms+r, ""))
		}
		ws, err := converse(ctx, n.Addr, frames)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		slow = append(slow, ws)
	}
	quiet := residentBytes(t, n.Pid())
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var readers, writers sync.WaitGroup
	for _, ws := range slow {
		readers.Go(func() { trickle(reading, ws) })
	}
	turns := make(chan struct{}, 4)
	for i := range conns {
		writers.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			frames := []string{fmt.Sprintf(`{"type":"hello","id":1,"user":"fast%d"}`, i)}
			for r := range rooms {
				frames = append(frames, frame("join", i*rooms+r, ""))
			}
			for range messages {
				for r := range rooms {
					frames = append(frames, frame("message", i*rooms+r, large))
				}
			}
			if ws, err := converse(ctx, n.Addr, frames); err != nil {
				t.Error(err)
			} else {
				ws.Close()
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	highest := int64(0)
	for look := time.NewTicker(50 * time.Millisecond); ; <-look.C {
		highest = max(highest, residentBytes(t, n.Pid()))
		select {
		case <-written:
			stop()
			readers.Wait()
			t.Logf("the node had %d MB before and %d MB at most", quiet>>20, highest>>20)
			if highest > most {
				t.Errorf("the node had %d MB", highest>>20)
			}
			return
		default:
		}
	}
}

// converse opens a connection, writes the frames and reads until each has its ack.
func converse(ctx context.Context, addr string, frames []string) (*websocket.Conn, error) {
	ws, err := websocket.Dial(ctx, "ws://"+addr+"/ws", nil)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { ws.NetConn().Close() })
	defer stop()
	go func() {
		for _, f := range frames {
			if ws.WriteMessage(websocket.Text, []byte(f)) != nil {
				return // reading fails too
			}
		}
	}()
	for acks := 0; acks < len(frames); {
		_, frame, err := ws.ReadMessage(1 << 20)
		switch {
		case err != nil:
			ws.Close()
			return nil, err
		case bytes.HasPrefix(frame, []byte(`{"type":"ack"`)):
			acks++
		case bytes.HasPrefix(frame, []byte(`{"type":"error"`)):
			ws.Close()
			return nil, fmt.Errorf("%s", frame)
		}
	}
	return ws, nil
}

// trickle reads just fast enough to be kept, until ctx ends.
func trickle(ctx context.Context, ws *websocket.Conn) {
	buf := make([]byte, 8<<10)
	for turn := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			turn.Stop()
			return
		case <-turn.C:
		}
		if _, err := ws.NetConn().Read(buf); err != nil {
			return
		}
	}
}

func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
