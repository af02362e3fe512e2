package engineio_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// Clients that offer subprotocols end a WebSocket that has none of them.
func TestSubprotocol(t *testing.T) {
	last := func(_ *http.Request, offered []string) string { return offered[len(offered)-1] }
	none := func(*http.Request, []string) string { return "" }
	for _, tt := range []struct {
		choose  func(*http.Request, []string) string
		offered []string
		want    string
	}{
		{nil, nil, ""}, {nil, []string{"chat"}, "chat"}, {nil, []string{"b.v2", "a"}, "b.v2"},
		{nil, []string{"not a token", "a"}, "a"}, {nil, []string{"a/b"}, ""},
		{last, nil, ""}, {last, []string{"b", "a"}, "a"}, {none, []string{"b", "a"}, ""},
	} {
		inBubble(t, engineio.Options{Subprotocol: tt.choose}, func(t *testing.T, w *world) {
			check := func(c *client) {
				ws, err := w.dialWith(websocket.Dialer{NetDial: w.dial, Protocols: slices.Clone(tt.offered)}, c.url("websocket"), nil)
				if err != nil {
					t.Errorf("%q: %v", tt.offered, err)
					return
				}
				defer ws.Close()
				if ws.Protocol() != tt.want {
					t.Errorf("%q: %q, want %q", tt.offered, ws.Protocol(), tt.want)
				}
			}
			check(&client{world: w, version: 4})
			c := w.open(4)
			check(c) // an upgrade
		})
	}
}
