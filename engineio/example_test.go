package engineio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// echo sends every message back.
type echo struct{}

func (echo) Open(*engineio.Socket) {}

func (echo) Message(s *engineio.Socket, m engineio.Message) {
	if err := s.Send(m); err != nil { // the client does not keep up, or is gone
		s.Close("")
	}
}

func (echo) Close(*engineio.Socket, string) {}

// An echo server, and what a client that polls receives from it.
func Example() {
	engine := engineio.New(echo{}, engineio.Options{})
	defer engine.Close(context.Background())
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	srv := httptest.NewServer(mux)
	defer srv.Close()

	url := srv.URL + "/engine.io/?EIO=4&transport=polling"
	var open struct {
		SID      string   `json:"sid"`
		Upgrades []string `json:"upgrades"`
	}
	if err := json.Unmarshal([]byte(fetch("GET", url, "")[1:]), &open); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(open.Upgrades)
	fmt.Println(fetch("POST", url+"&sid="+open.SID, "4hello"))
	fmt.Println(fetch("GET", url+"&sid="+open.SID, ""))
	// Output:
	// [websocket]
	// ok
	// 4hello
}

func fetch(method, url, body string) string {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// lobby passes on its sockets.
type lobby struct{ joined chan *engineio.Socket }

func (l lobby) Open(s *engineio.Socket)                    { l.joined <- s }
func (l lobby) Message(*engineio.Socket, engineio.Message) {}
func (l lobby) Close(s *engineio.Socket, reason string)    {}

func dial(ctx context.Context, url string) (*websocket.Conn, error) {
	return websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/?EIO=4&transport=websocket", nil)
}

// The same bytes go to many sockets: they are framed once.
func ExampleSocket_TryWrite() {
	l := lobby{make(chan *engineio.Socket, 2)}
	engine := engineio.New(l, engineio.Options{})
	defer engine.Close(context.Background())
	srv := httptest.NewServer(engine)
	defer srv.Close()
	var clients []*websocket.Conn
	for range 2 {
		c, err := dial(context.Background(), srv.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer c.Close()
		clients = append(clients, c)
	}

	frame := engineio.AppendFrame(nil, []byte("hello "), []byte("all"))
	for range clients {
		s := <-l.joined
		n, err := s.TryWrite(net.Buffers{frame})
		if err != nil || n < len(frame) { // go on with frame[n:] after s.WaitWritable
			fmt.Println(n, err)
		}
	}
	for _, c := range clients {
		for range 2 { // the open packet and the message
			_, p, err := c.ReadMessage(1000)
			if err != nil {
				fmt.Println(err)
			} else if p[0] == '4' {
				fmt.Printf("%s\n", p)
			}
		}
	}
	// Output:
	// 4hello all
	// 4hello all
}
