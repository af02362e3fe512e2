package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// History returns a page of messages in ascending Seq: before or after a
// number, from the start, or the newest. 10 unless the page says how many.
func (e *Engine) History(ctx context.Context, a Actor, room chat.RoomID, p store.Page) (*wire.HistoryReply, error) {
	if err := e.checkRead(ctx, &a, room); err != nil {
		return nil, err
	}
	if p.Before < 0 || p.After < store.FromStart || p.Before != 0 && p.After != 0 {
		return nil, chat.E(chat.Invalid, "give before or after, as a message number")
	}
	p.Limit = page(p.Limit, 10, e.cfg.Limits.PageMessages)
	ms, more, err := e.cfg.Store.Room(room).Messages(ctx, room, p)
	if err != nil {
		return nil, err
	}
	a.hideKeys(ms)
	return &wire.HistoryReply{Room: room, Messages: ms, More: more}, nil
}

// Changes returns what changed in the room after a rev.
func (e *Engine) Changes(ctx context.Context, a Actor, room chat.RoomID, after chat.Rev, limit int) (*wire.ChangesReply, error) {
	if err := e.checkRead(ctx, &a, room); err != nil {
		return nil, err
	}
	if after < 0 {
		return nil, chat.E(chat.Invalid, "after is not a rev")
	}
	d, err := e.cfg.Store.Room(room).Delta(ctx, room, after, page(limit, resumePage, resumePage))
	if err != nil {
		return nil, err
	}
	a.hideKeys(d.Messages)
	return &wire.ChangesReply{Delta: &d}, nil
}
