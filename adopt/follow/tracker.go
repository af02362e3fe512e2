package follow

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

const (
	pageRows  = 2000  // of one question
	gapsAtOne = 500   // gaps that one question asks for
	lookBack  = 10000 // rows below the highest one, at which a follower begins: transactions that are open then own keys there
)

// tracker finds the new rows of one table whose key is an integer, in whichever order
// they are committed. A Poll owns it.
type tracker struct {
	db    *sql.DB
	table *described
	key   column
	value column // what is yielded: the key, or the column of a watched table that holds the message's

	high   int64 // the highest key that was seen
	gaps   gaps
	behind bool // the last question had a full page: there is more
}

// newTracker follows a table behind a position of it.
func newTracker(db *sql.DB, t *described, key, value column, position string) (*tracker, error) {
	high, err := strconv.ParseInt(position, 10, 64)
	if err != nil {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.open", Subject: t.name, Text: "this is not the position of a follower", Err: err}
	}
	return &tracker{db: db, table: t, key: key, value: value, high: high}, nil
}

// beginTracker is the position at which a table is followed from now on.
func beginTracker(ctx context.Context, db *sql.DB, t *described, key column) (string, error) {
	name := t.engine.QuotePath(key.name)
	text := fmt.Sprintf("SELECT %s FROM %s ORDER BY %s DESC LIMIT 1 OFFSET %d", name, t.table(), name, lookBack)
	var floor int64
	err := db.QueryRowContext(ctx, text).Scan(&floor)
	if err == sql.ErrNoRows { // fewer rows than that: from the lowest one
		var lowest sql.NullInt64
		err = db.QueryRowContext(ctx, fmt.Sprintf("SELECT MIN(%s) FROM %s", name, t.table())).Scan(&lowest)
		floor = min(lowest.Int64-1, 0)
	}
	return strconv.FormatInt(floor, 10), fail("begin", t.name, err)
}

// position is the highest key without a gap below it.
func (t *tracker) position() string { return strconv.FormatInt(t.gaps.floor(t.high), 10) }

// scan reads rows above the highest key. Keys that are jumped over become gaps, dated
// after the answer: at that time they were not there.
func (t *tracker) scan(ctx context.Context) ([]source.Key, error) {
	t.behind = false
	if t.gaps.full() {
		return nil, nil
	}
	ids, keys, err := t.ask(ctx, t.table.engine.QuotePath(t.key.name)+" > "+strconv.FormatInt(t.high, 10))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, id := range ids {
		t.gaps.add(t.high+1, id-1, now)
		t.high = id
	}
	t.behind = len(ids) == pageRows
	return keys, nil
}

// fill asks for the keys of gaps, which are of this tracker.
func (t *tracker) fill(ctx context.Context, list []gap) (keys []source.Key, err error) {
	for len(list) > 0 {
		n := min(len(list), gapsAtOne)
		for {
			ids, found, err := t.ask(ctx, t.within(list[:n]))
			if err != nil {
				return keys, err
			}
			keys = append(keys, found...)
			if len(ids) < pageRows {
				t.gaps.seen(ids)
				break
			}
			list = t.rest(list, ids[len(ids)-1], &n) // a gap that has more rows than a page
			t.gaps.seen(ids)
		}
		list = list[n:]
	}
	return keys, nil
}

// rest is what a list of gaps leaves above a key, and n how many of them were asked for.
func (t *tracker) rest(list []gap, above int64, n *int) []gap {
	list = append([]gap(nil), list...)
	for len(list) > 0 && *n > 0 && list[0].to <= above {
		list = list[1:]
		*n--
	}
	if len(list) > 0 && list[0].from <= above {
		list[0].from = above + 1
	}
	return list
}

// within is the condition of the keys of gaps.
func (t *tracker) within(list []gap) string {
	name := t.table.engine.QuotePath(t.key.name)
	var single, ranges []string
	for _, g := range list {
		if g.from == g.to {
			single = append(single, strconv.FormatInt(g.from, 10))
			continue
		}
		ranges = append(ranges, fmt.Sprintf("%s BETWEEN %d AND %d", name, g.from, g.to))
	}
	if len(single) > 0 {
		ranges = append(ranges, name+" IN ("+strings.Join(single, ", ")+")")
	}
	if len(ranges) == 0 {
		return "1 = 0"
	}
	return "(" + strings.Join(ranges, " OR ") + ")"
}

// ask reads a page of rows, in the order of the key.
func (t *tracker) ask(ctx context.Context, condition string) (ids []int64, keys []source.Key, err error) {
	e := t.table.engine
	name := e.QuotePath(t.key.name)
	text := fmt.Sprintf("SELECT %s, %s FROM %s WHERE %s ORDER BY %s LIMIT %d",
		name, t.value.asText(e, e.QuotePath(t.value.name)), t.table.table(), condition, name, pageRows)
	rows, err := t.db.QueryContext(ctx, text)
	if err != nil {
		return nil, nil, fail("poll", t.table.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var key sql.NullString
		if err := rows.Scan(&id, &key); err != nil {
			return nil, nil, fail("poll", t.table.name, err)
		}
		ids = append(ids, id)
		if key.Valid {
			keys = append(keys, source.Key(key.String))
		}
	}
	return ids, keys, fail("poll", t.table.name, rows.Err())
}
