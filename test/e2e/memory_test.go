//go:build linux

package e2e

import (
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
// do not notice.
func TestSlowReadersOfLargePages(t *testing.T) {
	const (
		conns  = 600
		most   = 300 << 20
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
