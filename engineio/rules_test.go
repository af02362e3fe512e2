package engineio_test

import (
	"testing"

	"github.com/roomtide/roomtide/engineio"
)

func TestRefusals(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		for _, tt := range []struct {
			method, query, want string
		}{
			{"GET", "EIO=4&transport=polling&sid=unknown", unknownSession},
			{"POST", "EIO=4&transport=polling&sid=unknown", unknownSession},
			{"GET", "EIO=4&transport=websocket", badRequest},
			{"GET", "EIO=4&transport=websocket&sid=" + c.sid, badRequest},
			{"GET", "EIO=3&transport=polling&sid=" + c.sid, badRequest},
			{"GET", "EIO=abc&transport=polling&sid=" + c.sid, badRequest},
			{"PUT", "EIO=4&transport=polling&sid=" + c.sid, badRequest},
			{"DELETE", "EIO=4&transport=polling&sid=" + c.sid, badRequest},
			{"OPTIONS", "EIO=4&transport=polling", badMethod},
			{"GET", "EIO=4&EIO=4&transport=polling", badRequest},
			{"GET", "EIO=4&transport=polling&transport=websocket", badRequest},
			{"GET", "EIO=4&transport=polling&sid=a&sid=b", badRequest},
			{"GET", "EIO=4&transport=polling&t=%zz", badRequest},
			{"GET", "EIO=3&transport=polling&j=alert", badRequest},
			{"GET", "EIO=3&transport=polling&j=", badRequest},
			{"GET", "eio=4&transport=polling", unsupported},
			{"GET", "EIO=4&Transport=polling", unknownTransport},
		} {
			a := w.request(tt.method, "http://"+w.addr+"/engine.io/?"+tt.query, "")
			if a.status != 400 || a.body != tt.want || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %v", tt.method, tt.query, a)
			}
		}
		for _, query := range []string{
			"EIO=4&transport=polling", "EIO=4&transport=polling&sid=" + c.sid, "EIO=4&transport=websocket&sid=unknown",
			"EIO=3&transport=websocket&sid=" + c.sid,
		} {
			w.refuseWS(query)
		}
		// None of it has done the session any harm.
		c.post("4hello").want(t, 200, "ok")
		c.get().want(t, 200, "4hello")
		w.quiet()
		if got := w.engine.Stats(); got.Refused != 21 || got.Sockets != 1 || got.Opened != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// Clients of Socket.IO before 1.0 are told why they are refused.
func TestAncientClients(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		for _, path := range []string{"/socket.io/1/?t=1", "/socket.io/1/?jsonp=0&t=1", "/socket.io/1", "/socket.io/1/xhr-polling/abc?t=1", "/socket.io/1/websocket/abc"} {
			w.request("GET", "http://"+w.addr+path, "").want(t, 400, unsupported)
		}
		w.request("GET", "http://"+w.addr+"/socket.io/", "").want(t, 400, unknownTransport)
	})
}

func TestOptionsNarrow(t *testing.T) {
	t.Run("no protocol 3", func(t *testing.T) {
		inBubble(t, engineio.Options{NoEIO3: true}, func(t *testing.T, w *world) {
			(&client{world: w, version: 3}).get().want(t, 400, unsupported)
			w.open(4)
		})
	})
	t.Run("no upgrade", func(t *testing.T) {
		inBubble(t, engineio.Options{NoUpgrade: true}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			h := w.parseHello(c.get().body)
			if len(h.Upgrades) != 0 {
				t.Error(h.Upgrades)
			}
			w.refuseWS("EIO=4&transport=websocket&sid=" + h.SID)
			c.ws().bye()
		})
	})
	t.Run("only websocket", func(t *testing.T) {
		inBubble(t, engineio.Options{Transports: []string{"websocket"}}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			c.get().want(t, 400, unknownTransport)
			c.ws().bye()
		})
	})
	t.Run("only polling", func(t *testing.T) {
		inBubble(t, engineio.Options{Transports: []string{"polling"}}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			if h := w.parseHello(c.get().body); len(h.Upgrades) != 0 {
				t.Error(h.Upgrades)
			}
			w.refuseWS("EIO=4&transport=websocket")
		})
	})
	t.Run("sockets at once", func(t *testing.T) {
		inBubble(t, engineio.Options{MaxSockets: 2}, func(t *testing.T, w *world) {
			c := &client{world: w, version: 4}
			w.open(4)
			ws := c.ws()
			ws.receiveHello()
			a := c.get()
			if a.want(t, 503, `{"code":4,"message":"Too many sockets"}`); a.header.Get("Retry-After") == "" {
				t.Error(a.header)
			}
			ws.bye()
			w.expect("open", "close: transport close")
			w.open(4)
		})
	})
}
