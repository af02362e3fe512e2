package sqlite

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

// Size reads the rooms, which say how many members and messages they have, and counts
// the pages of the file.
func (s *Shard) Size(ctx context.Context) (store.Size, error) {
	const query = `SELECT count(*), coalesce(sum(1 + members + last_seq), 0),
		(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) FROM rooms`
	var size store.Size
	err := s.db.r.QueryRowContext(ctx, query).Scan(&size.Rooms, &size.Rows, &size.Bytes)
	return size, s.db.fail("size", err)
}
