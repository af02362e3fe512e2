package storepresence

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
)

// driver answers from a record alone, for nodes of a cluster that share nothing faster
// than the store.
type driver struct{ record *Record }

// Driver returns a presence.Driver that answers from the record, which the tracker keeps
// beside it. Closing it closes nothing.
func (r *Record) Driver() presence.Driver { return driver{r} }

func (d driver) Apply(context.Context, []presence.Change) error { return nil }

func (d driver) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	return d.record.Online(ctx, room, limit)
}

func (d driver) Close() error { return nil }
