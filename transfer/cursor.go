package transfer

import (
	"context"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// How much is read at a time.
const (
	pageRows  = 500
	pageBytes = 1 << 20
)

// cursor walks the rows of one table of a slot in ascending order, page by page.
type cursor[R store.Row] struct {
	// Set once.
	shard *store.Reader
	slot  chat.Slot
	list  func(*store.Rows) []R

	page []R          // rows that were read and not returned
	next store.RowKey // where the next page begins
	done bool         // there is no next page
}

func newCursor[R store.Row](shard *store.Reader, slot chat.Slot, table store.Table, list func(*store.Rows) []R) *cursor[R] {
	return &cursor[R]{shard: shard, slot: slot, list: list, next: store.RowKey{Table: table}}
}

// any returns the next row, nil if there are no more.
func (c *cursor[R]) any(ctx context.Context) (*R, error) {
	if len(c.page) == 0 {
		if err := c.read(ctx, c.next); err != nil || len(c.page) == 0 {
			return nil, err
		}
	}
	row := &c.page[0]
	c.page = c.page[1:]
	return row, nil
}

// of returns the next row of a room or user, nil if there are no more of it. Those
// before it are passed over: a cursor does not go back.
func (c *cursor[R]) of(ctx context.Context, id string) (*R, error) {
	for {
		for len(c.page) > 0 {
			switch order := strings.Compare(store.KeyOf(&c.page[0]).ID, id); {
			case order > 0:
				return nil, nil
			case order == 0:
				return c.any(ctx)
			}
			c.page = c.page[1:]
		}
		if c.done {
			return nil, nil
		}
		after := c.next
		if after.ID < id {
			after = store.RowKey{Table: after.Table, ID: id}
		}
		if err := c.read(ctx, after); err != nil {
			return nil, err
		}
	}
}

// read reads the page after a key.
func (c *cursor[R]) read(ctx context.Context, after store.RowKey) error {
	if c.done {
		return nil
	}
	rows, next, err := c.shard.SlotRows(ctx, c.slot, after, pageRows, pageBytes)
	if err != nil {
		return err
	}
	c.page = c.list(rows)
	c.done = next.Table != c.next.Table
	c.next = next
	return nil
}

// contents walks what is in the rooms of a slot.
type contents struct {
	slot      chat.Slot
	members   *cursor[chat.Member]
	messages  *cursor[chat.Message]
	reactions *cursor[store.ReactionChange]
}

func newContents(shard *store.Reader, slot chat.Slot) *contents {
	return &contents{slot,
		newCursor(shard, slot, store.TableMembers, func(r *store.Rows) []chat.Member { return r.Members }),
		newCursor(shard, slot, store.TableMessages, func(r *store.Rows) []chat.Message { return r.Messages }),
		newCursor(shard, slot, store.TableReactions, func(r *store.Rows) []store.ReactionChange { return r.Reactions }),
	}
}
