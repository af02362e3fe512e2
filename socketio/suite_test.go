package socketio_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/websocket"
)

// The cases of the public test suite of protocol 5, by their names there.

func TestSuiteHandshake(t *testing.T) {
	w := overTCP(t, fast(), echo)
	for _, c := range []struct {
		name, method, query string
		status              int
	}{
		{"polling: successfully open a session", "GET", "EIO=4&transport=polling", 200},
		{"polling: fail with an invalid EIO (missing)", "GET", "transport=polling", 400},
		{"polling: fail with an invalid EIO", "GET", "EIO=abc&transport=polling", 400},
		{"polling: fail with an invalid transport (missing)", "GET", "EIO=4", 400},
		{"polling: fail with an invalid transport", "GET", "EIO=4&transport=abc", 400},
		{"polling: fail with an invalid request method (post)", "POST", "EIO=4&transport=polling", 400},
		{"polling: fail with an invalid request method (put)", "PUT", "EIO=4&transport=polling", 400},
		{"WebSocket: fail with an invalid EIO (missing)", "WS", "transport=websocket", 400},
		{"WebSocket: fail with an invalid EIO", "WS", "EIO=abc&transport=websocket", 400},
		{"WebSocket: fail with an invalid transport (missing)", "WS", "EIO=4", 400},
		{"WebSocket: fail with an invalid transport", "WS", "EIO=4&transport=abc", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.method == "WS" {
				_, err := websocket.Dial(t.Context(), "ws://"+w.addr+"/socket.io/?"+c.query, nil)
				if refused, ok := err.(*websocket.HandshakeError); !ok || refused.Status != c.status {
					t.Fatalf("dial: %v, want status %d", err, c.status)
				}
				return
			}
			status, body := w.do(c.method, c.query, "")
			if status != c.status {
				t.Fatalf("status %d: %s", status, body)
			}
			if status == 200 {
				checkOpen(t, body, `["websocket"]`)
			}
		})
	}
	t.Run("WebSocket: successfully open a session", func(t *testing.T) {
		ws, err := websocket.Dial(t.Context(), "ws://"+w.addr+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		_, data, err := ws.ReadMessage(1000)
		if err != nil {
			t.Fatal(err)
		}
		checkOpen(t, string(data), `[]`)
	})
}

// checkOpen checks the keys and values of an open packet.
func checkOpen(t *testing.T, text, upgrades string) {
	t.Helper()
	var open map[string]json.RawMessage
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "0")), &open); err != nil || text[0] != '0' {
		t.Fatalf("%q: %v", text, err)
	}
	want := map[string]string{"upgrades": upgrades, "pingInterval": "300", "pingTimeout": "200", "maxPayload": "1000000", "sid": string(open["sid"])}
	for k, v := range want {
		if string(open[k]) != v {
			t.Errorf("%s is %s, want %s", k, open[k], v)
		}
	}
	if len(open) != len(want) || len(open["sid"]) < 20 {
		t.Errorf("open packet %s", text)
	}
}

// poll opens a polling session and returns the query for what follows.
func (w *world) poll() string {
	w.Helper()
	_, body := w.do("GET", "EIO=4&transport=polling", "")
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &open); err != nil {
		w.Fatal(err)
	}
	return "EIO=4&transport=polling&sid=" + open.SID
}

func (w *world) wantHTTP(method, query, body string, status int, answer string) {
	w.Helper()
	got, text := w.do(method, query, body)
	if got != status || answer != "*" && text != answer {
		w.Errorf("%s %q: %d %q, want %d %q", method, body, got, text, status, answer)
	}
}

func TestSuiteHeartbeat(t *testing.T) {
	t.Run("polling: send ping/pong packets", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			q := w.poll()
			for range 3 {
				w.wantHTTP("GET", q, "", 200, "2")
				w.wantHTTP("POST", q, "3", 200, "ok")
			}
			w.do("POST", q, "1")
		})
	})
	t.Run("polling: close the session upon ping timeout", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			q := w.poll()
			time.Sleep(500 * time.Millisecond) // the clock of the bubble
			w.wantHTTP("GET", q, "", 400, "*")
		})
	})
	t.Run("WebSocket: send ping/pong packets", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			p := w.connect("4")
			begin := time.Now()
			for range 3 {
				if _, data, err := p.ws.ReadMessage(1000); err != nil || string(data) != "2" {
					t.Fatalf("%q %v", data, err)
				}
				p.send("3")
			}
			if d := time.Since(begin); d < 900*time.Millisecond || d > time.Second {
				t.Errorf("three pings took %v", d)
			}
			p.cut()
		})
	})
	t.Run("WebSocket: close the session upon ping timeout", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			p := w.connect("4")
			for {
				if _, _, err := p.ws.ReadMessage(1000); err != nil {
					break
				}
			}
			p.cut()
		})
	})
}

func TestSuiteClose(t *testing.T) {
	t.Run("polling: forcefully close the session", func(t *testing.T) {
		inBubble(t, plain(), echo, func(w *world) { // whichever request is first, the other has a second
			q := w.poll()
			closed := make(chan struct{})
			go func() {
				w.wantHTTP("GET", q, "", 200, "6")
				close(closed)
			}()
			w.wantHTTP("POST", q, "1", 200, "ok")
			<-closed
			w.wantHTTP("GET", q, "", 400, "*")
		})
	})
	t.Run("WebSocket: forcefully close the session", func(t *testing.T) {
		w := overTCP(t, plain(), echo)
		p := w.connect("4")
		p.send("1")
		p.wantClosed()
	})
}

func TestSuiteUpgrade(t *testing.T) {
	w := overTCP(t, plain(), echo)
	upgrade := func(q string) *peer {
		ws, err := websocket.Dial(t.Context(), "ws://"+w.addr+"/socket.io/?"+strings.Replace(q, "polling", "websocket", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		p := &peer{T: t, ws: ws, eio: 4}
		p.send("2probe")
		p.want("3probe")
		p.send("5")
		return p
	}
	t.Run("successfully upgrade", func(t *testing.T) {
		p := upgrade(w.poll())
		p.send("40")
		p.welcomed("40")
		p.want(`42["auth",{}]`)
	})
	t.Run("ignore HTTP requests with same sid after upgrade", func(t *testing.T) {
		q := w.poll()
		p := upgrade(q)
		p.send("40")
		p.welcomed("40")
		w.wantHTTP("GET", q, "", 400, "*")
	})
	t.Run("ignore WebSocket connection with same sid after upgrade", func(t *testing.T) {
		q := w.poll()
		p := upgrade(q)
		p.send("40")
		p.welcomed("40")
		p.want(`42["auth",{}]`)
		if ws, err := websocket.Dial(t.Context(), "ws://"+w.addr+"/socket.io/?"+strings.Replace(q, "polling", "websocket", 1), nil); err == nil {
			(&peer{T: t, ws: ws, eio: 4}).wantClosed()
		}
		p.send(`42["message","the first goes on"]`)
		p.want(`42["message-back","the first goes on"]`)
	})
}

func TestSuiteConnect(t *testing.T) {
	w := overTCP(t, plain(), echo)
	for _, c := range []struct{ name, connect, reply, auth string }{
		{"main namespace", "40", "40", `42["auth",{}]`},
		{"main namespace with a payload", `40{"token":"123"}`, "40", `42["auth",{"token":"123"}]`},
		{"custom namespace", "40/custom,", "40/custom,", `42/custom,["auth",{}]`},
		{"custom namespace with a payload", `40/custom,{"token":"abc"}`, "40/custom,", `42/custom,["auth",{"token":"abc"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.connect("4")
			p.send(c.connect)
			var reply map[string]string
			text := p.read()
			if err := json.Unmarshal([]byte(strings.TrimPrefix(text, c.reply)), &reply); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if len(reply) != 1 || reply["sid"] == "" || reply["sid"] == p.sid {
				t.Errorf("reply %q: one key, sid, which is not that of the engine", text)
			}
			p.want(c.auth)
		})
	}
	t.Run("unknown namespace", func(t *testing.T) {
		p := w.connect("4")
		p.send("40/random")
		p.want(`44/random,{"message":"Invalid namespace"}`)
		p.send("40") // and it may try another
		p.welcomed("40")
	})
	t.Run("invalid handshake", func(t *testing.T) {
		p := w.connect("4")
		p.send("4abc")
		p.wantClosed()
	})
	t.Run("no handshake is received", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			p := w.connect("4")
			begin := time.Now()
			p.wantClosed()
			if d := time.Since(begin); d != time.Second {
				t.Errorf("closed after %v", d)
			}
		})
	})
}

func TestSuiteDisconnect(t *testing.T) {
	t.Run("main namespace", func(t *testing.T) {
		inBubble(t, fast(), echo, func(w *world) {
			p := w.echoing()
			p.send("41")
			if _, data, err := p.ws.ReadMessage(1000); err != nil || string(data) != "2" {
				t.Fatalf("%q %v, want a ping", data, err)
			}
			p.cut()
		})
	})
	t.Run("custom namespace", func(t *testing.T) {
		p := overTCP(t, plain(), echo).echoing()
		p.send("40/custom")
		p.welcomed("40/custom")
		p.want(`42/custom,["auth",{}]`)
		p.send("41/custom", `42["message","message to main namespace"]`)
		p.want(`42["message-back","message to main namespace"]`)
	})
}

func TestSuiteMessage(t *testing.T) {
	w := overTCP(t, plain(), echo)
	t.Run("plain text", func(t *testing.T) {
		p := w.echoing()
		p.send(`42["message",1,"2",{"3":[true]}]`)
		p.want(`42["message-back",1,"2",{"3":[true]}]`)
	})
	t.Run("binary attachments", func(t *testing.T) {
		p := w.echoing()
		p.send(`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		p.sendBinary(1, 2, 3)
		p.sendBinary(4, 5, 6)
		p.want(`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b\x01\x02\x03", "b\x04\x05\x06")
	})
	t.Run("plain text with an ack", func(t *testing.T) {
		p := w.echoing()
		p.send(`42456["message-with-ack",1,"2",{"3":[false]}]`)
		p.want(`43456[1,"2",{"3":[false]}]`)
	})
	t.Run("binary attachments and an ack", func(t *testing.T) {
		p := w.echoing()
		p.send(`452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		p.sendBinary(1, 2, 3)
		p.sendBinary(4, 5, 6)
		p.want(`462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b\x01\x02\x03", "b\x04\x05\x06")
	})
	for name, text := range map[string]string{
		"invalid format (unknown packet type)":    `4abc`,
		"invalid format (invalid payload format)": `42{}`,
		"invalid format (invalid ack id)":         `42abc["message-with-ack",1,"2",{"3":[false]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			p := w.echoing()
			p.send(text)
			p.wantClosed()
		})
	}
}

// Arguments come back byte for byte, however a JSON library would write them.
func TestArgumentsAreKept(t *testing.T) {
	p := overTCP(t, plain(), echo).echoing()
	for _, args := range []string{
		`1.0,1e2,-0,12345678901234567890123`, `"\u00e9é<>&\/"`, `{"b":1,"a":2,"a":3}`, `[ 1 , {"x" : "],["} ]`, `"\"\\","]"`, `null`,
	} {
		p.send(`42["message",` + args + `]`)
		p.want(`42["message-back",` + args + `]`)
	}
	p.send("42[ \"message\" ,\n1 ,\t\"a b\" ]")
	p.want(`42["message-back",1,"a b"]`)
}

// A polling client gets the same, in order.
func TestPolling(t *testing.T) {
	w := overTCP(t, plain(), echo)
	q := w.poll()
	w.wantHTTP("POST", q, "40\x1e"+`42["message","a"]`+"\x1e"+`451-["message",{"_placeholder":true,"num":0}]`+"\x1ebAQID", 200, "ok")
	_, body := w.do("GET", q, "")
	got := strings.Split(body, "\x1e")
	want := []string{`42["auth",{}]`, `42["message-back","a"]`, `451-["message-back",{"_placeholder":true,"num":0}]`, "bAQID"}
	if len(got) != 5 || !strings.HasPrefix(got[0], `40{"sid":`) || !slices.Equal(got[1:], want) {
		t.Errorf("polled %q", got)
	}
}
