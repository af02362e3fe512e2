package sqldb

import (
	"context"
	"strings"

	"github.com/roomtide/roomtide/store"
)

var _ store.Sizer = (*Reader)(nil)

// sized are the tables that hold most of a shard.
var sized = []*Table{&Rooms, &Members, &Messages, &Reactions, &UserRooms, &Users, &Outbox}

// Size reads the rooms, which say how many members and messages they have, and asks the
// engine how much space its tables take, which it knows about.
func (r *Reader) Size(ctx context.Context) (size store.Size, err error) {
	tables := make([]any, len(sized))
	for i, t := range sized {
		tables[i] = r.d.Prefix + t.Name
	}
	err = r.db.Ask(ctx,
		Question{
			Text: "SELECT count(*), CAST(coalesce(sum(1 + members + last_seq), 0) AS " + r.d.Integer + ") FROM {rooms}",
			Row:  func(s Scanner) error { return s.Scan(&size.Rooms, &size.Rows) },
		},
		Question{
			Text: strings.ReplaceAll(r.d.TableBytes, "(names)", Tuple(len(tables))), Args: tables,
			Row: func(s Scanner) error { return s.Scan(&size.Bytes) },
		})
	return size, err
}
