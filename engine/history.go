package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// Around is a place in a room's messages. The zero value is none.
type Around struct {
	Seq  chat.Seq // the message with this number
	Read bool     // the first unread message, or the end of the room
}

func (e *Engine) history(ctx context.Context, a *Actor, room chat.RoomID, p store.Page, at Around) (*wire.HistoryReply, error) {
	if p == (store.Page{Limit: p.Limit}) && at == (Around{}) {
		return e.newestOf(ctx, a, room, p.Limit)
	}
	if err := e.checkRead(ctx, a, room); err != nil {
		return nil, err
	}
	if p.Before < 0 || p.After < store.FromStart || p.Before != 0 && p.After != 0 {
		return nil, chat.E(chat.Invalid, "give before or after, as a message number")
	}
	if at != (Around{}) {
		return e.historyAround(ctx, a, room, p, at)
	}
	p.Limit, p.Bytes = page(p.Limit, 10, e.cfg.Limits.PageMessages), pageBytes
	ms, more, err := e.cfg.Store.Room(room).Messages(ctx, room, p)
	if err != nil {
		return nil, err
	}
	a.hideKeys(ms)
	return &wire.HistoryReply{Room: room, Messages: ms, More: more}, nil
}

// newestOf is history of the last messages.
func (e *Engine) newestOf(ctx context.Context, a *Actor, room chat.RoomID, limit int) (*wire.HistoryReply, error) {
	look, _, err := e.look(ctx, a, room)
	if err != nil {
		return nil, err
	}
	ms, more, err := look.Newest(ctx, page(limit, 10, e.cfg.Limits.PageMessages), pageBytes)
	if err != nil {
		return nil, err
	}
	if !a.Server { // again: the membership may have ended before one of the messages was posted
		if _, err := e.mayRead(look.Member(ctx, a.User)); err != nil {
			return nil, err
		}
	}
	a.hideKeys(ms)
	return &wire.HistoryReply{Room: room, Messages: ms, More: more}, nil
}

func (e *Engine) historyAround(ctx context.Context, a *Actor, room chat.RoomID, p store.Page, at Around) (*wire.HistoryReply, error) {
	if p.Before != 0 || p.After != 0 || at.Seq < 0 {
		return nil, chat.E(chat.Invalid, "give before, after or around; around is a message number or \"read\"")
	}
	if at.Read {
		r, err := e.cfg.Store.Room(room).Room(ctx, room)
		if err != nil {
			return nil, err
		}
		place := wire.JoinReply{Room: &r, Seq: r.LastSeq}
		if err := e.unreadIn(ctx, nil, a.User, &place); err != nil {
			return nil, err
		}
		if at.Seq = place.Unread.From; at.Seq == 0 {
			at.Seq = r.LastSeq + 1
		}
	}
	ms, older, newer, err := e.around(ctx, room, at.Seq, p.Limit)
	if err != nil {
		return nil, err
	}
	a.hideKeys(ms)
	return &wire.HistoryReply{Room: room, Messages: ms, More: older, Newer: newer}, nil
}

// around returns up to limit messages, half of them before seq, and whether there
// are older and newer ones. At an end of the room there are more of the other side.
// Each side has half of pageBytes, the newer one all of it where there is no other.
func (e *Engine) around(ctx context.Context, room chat.RoomID, seq chat.Seq, limit int) (ms []chat.Message, older, newer bool, err error) {
	limit = page(limit, 10, e.cfg.Limits.PageMessages)
	db := e.cfg.Store.Room(room)
	after := seq - 1
	if after <= 0 {
		after = store.FromStart
	}
	bytes := pageBytes / 2
	if seq <= 1 {
		bytes = pageBytes
	}
	newest, newer, err := db.Messages(ctx, room, store.Page{After: after, Limit: limit, Bytes: bytes})
	if err != nil || seq <= 1 {
		return newest, false, newer, err
	}
	oldest, older, err := db.Messages(ctx, room, store.Page{Before: seq, Limit: limit, Bytes: bytes})
	if err != nil {
		return nil, false, false, err
	}
	if n := limit - min(len(oldest), limit/2); len(newest) > n {
		newest, newer = newest[:n], true
	}
	if n := limit - len(newest); len(oldest) > n {
		oldest, older = oldest[len(oldest)-n:], true
	}
	return append(oldest, newest...), older, newer, nil
}

func (e *Engine) changes(ctx context.Context, a *Actor, room chat.RoomID, after chat.Rev, limit int) (*wire.ChangesReply, error) {
	if err := e.checkRead(ctx, a, room); err != nil {
		return nil, err
	}
	if after < 0 {
		return nil, chat.E(chat.Invalid, "after is not a rev")
	}
	d, err := e.cfg.Store.Room(room).Delta(ctx, room, after, page(limit, resumePage, resumePage), pageBytes)
	if err != nil {
		return nil, err
	}
	for i := range d.Members { // what changed is newer than the membership that was checked
		if m := d.Members[i]; m.User == a.User && !a.Server {
			if _, err := e.mayRead(m, nil); err != nil {
				return nil, err
			}
		}
	}
	a.hideKeys(d.Messages)
	return &wire.ChangesReply{Delta: &d}, nil
}
