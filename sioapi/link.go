package sioapi

import (
	"net"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/wire"
)

// link is the hub's side of a client (hub.Link).
type link struct{ c *client }

// TryWrite writes room events and replies.
func (l link) TryWrite(bufs net.Buffers) (int, error) { return l.c.engine.TryWrite(bufs) }

// WaitWritable waits until TryWrite can go on.
func (l link) WaitWritable(timeout time.Duration) error { return l.c.engine.WaitWritable(timeout) }

// Close sends the goodbye as an event and ends the connection. Stock clients
// reconnect by themselves when a connection ends, unless the server disconnected
// them from the namespace first. So a client that must not reconnect gets that too.
func (l link) Close(g chat.Goodbye) {
	if l.c.closed.Swap(true) {
		return
	}
	if g.Reason != "" {
		l.c.h.metrics.goodbyes.WithLabelValues(g.Reason).Inc()
		_ = l.c.engine.Send(goodbye(g)...) // a client that takes nothing more ends without
	}
	l.c.engine.Close(engineio.ReasonForcedClose)
}

// goodbye is not compressed: old clients inflate on the side, and forget what
// they have not finished when the connection ends.
func goodbye(g chat.Goodbye) []engineio.Message {
	object := wire.AppendGoodbye(nil, g)
	event := &socketio.Packet{Type: socketio.TypeEvent}
	event.Name = "goodbye"
	event.Args = append(event.Args, object)
	ms := []engineio.Message{{Plain: true, Data: socketio.AppendPacket(nil, event)}}
	if g.Retry() == chat.RetryNever {
		ms = append(ms, engineio.Message{Data: socketio.AppendPacket(nil, &socketio.Packet{Type: socketio.TypeDisconnect})})
	}
	return ms
}
