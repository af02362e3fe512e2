package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Posted is the change that sends a posting. Its user is the actor's.
func Posted(p *wire.Posting) *change.Send {
	return &change.Send{Room: p.Room, Name: p.Name, Draft: chat.Draft{
		Text: p.Text, Key: p.Key, ReplyTo: p.ReplyTo, Mentions: p.Mentions, Data: p.Data,
	}}
}

// Post is Submit for a message whose author's name is filled in first, as by Do, for
// which it waits a second at most. A message that a durable queue has accepted has its
// outcome whenever it comes.
func (e *Engine) Post(ctx context.Context, s Sending, done change.Done) {
	if err := e.prepare(&s.Actor, s.Send); err != nil {
		done(change.Reply{}, err)
		return
	}
	e.stampNamesSoon(ctx, s.Send)
	s.Send.Accepted = func(change.Queued) {}
	e.handInOrder(s.Send, e.answered(s.Send, done))
}
